import { BTF_KIND } from '../types.ts';
import { isNamed } from './c-names.ts';
import type { DeclarationWriter } from './c-text.ts';
import { type Columns, nameOf, sizeOrTypeOf } from './columns.ts';
import { compareNames } from './name-order.ts';
import { literal, type TextSink } from './sink.ts';
import type { Work } from './work.ts';

const text = {
  start: literal('\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n'),
  extern: literal('extern '),
  fastcall: literal('__bpf_fastcall '),
  end: literal(' __weak __ksym;\n'),
  blockEnd: literal('#endif\n\n'),
} as const;

const kfuncTag = literal('bpf_kfunc');
const fastcallTag = literal('bpf_fastcall');

/**
 * Prototypes of the kernel functions that programs may call: those with the declaration tag
 * `bpf_kfunc`, by name, as bpftool ends its C dumps (`dump_btf_kfuncs`).
 */
export function writeKfuncs(
  columns: Columns,
  sink: TextSink,
  work: Work,
  writer: DeclarationWriter,
): void {
  const kfuncs = taggedFunctions(columns, kfuncTag);
  const fastcalls = new Set(taggedFunctions(columns, fastcallTag));
  kfuncs.sort((a, b) => compareNames(columns, work, nameOf(columns, a), nameOf(columns, b)));
  sink.text(text.start);
  for (const id of kfuncs) {
    sink.text(text.extern);
    if (fastcalls.has(id)) sink.text(text.fastcall);
    writer.declareNamed(sizeOrTypeOf(columns, id), nameOf(columns, id));
    sink.text(text.end);
  }
  sink.text(text.blockEnd);
}

/** Functions with a tag on themselves (not on a parameter), in the order of the tags. */
function taggedFunctions(columns: Columns, tag: Uint8Array): number[] {
  const { kinds, words, places, strings } = columns;
  const found: number[] = [];
  // The engine's search: vmlinux has 205 tags among 126,610 types.
  const next = (from: number): number => kinds.indexOf(BTF_KIND.DECL_TAG, from);
  for (let id = next(1); id >= 0; id = next(id + 1)) {
    // Behind the common words: the index of the parameter, -1 for none.
    if (words[(places[id] as number) + 3] !== 0xffffffff) continue;
    const target = sizeOrTypeOf(columns, id);
    if (kinds[target] !== BTF_KIND.FUNC) continue;
    if (isNamed(strings, nameOf(columns, id), tag)) found.push(target);
  }
  return found;
}
