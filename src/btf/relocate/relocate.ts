import type { BtfRelocateFault } from '../../errors/btf.ts';
import { BpfError } from '../../errors.ts';
import { type Btf, parseBtf } from '../btf.ts';
import { FIELD, fieldsOf } from '../fields.ts';
import { ownLayout, writeBtf } from '../tools/reencode.ts';
import { BTF_KIND, type TypeId } from '../types.ts';
import { BaseMatch } from './match.ts';

/** A split BTF on its new base. */
export interface RelocatedBtf {
  readonly btf: Btf;
  /** The new id of each old one, also of the types of the distilled base. */
  readonly ids: Uint32Array;
}

/**
 * Puts a split BTF that stands on a distilled base (`distillBase`, a module's `.BTF.base`) on
 * another base, such as the running kernel's: what it refers to is found there by name, and by
 * size where that counts. As libbpf's `btf__relocate`.
 *
 * An integer, floating-point number or enum is found by name and size, of an enum also as one
 * of 64 bits; a struct or union by name, and by size where the base has several of that name
 * or a member holds it by value.
 *
 * {@link BpfError} `btf-no-base` without a distilled base, `btf-relocate` where something is
 * not in the new base, or more than once.
 *
 * @example
 * ```ts
 * const module = relocateBtf(parseBtf(bytes, { base: parseBtf(distilled) }), vmlinux);
 * ```
 */
export function relocateBtf(split: Btf, base: Btf): Btf {
  return relocateBtfWithIds(split, base).btf;
}

/** {@link relocateBtf}, with what became of each id. */
export function relocateBtfWithIds(split: Btf, base: Btf): RelocatedBtf {
  const { name, littleEndian, pointerSize } = split;
  const distilled = split.base;
  if (distilled === undefined) throw new BpfError({ code: 'btf-no-base', btf: name });
  if (distilled === base) throw failure(split, base, { kind: 'same-base' });
  const ids = new Uint32Array(split.endId);
  ids.set(new BaseMatch(split, distilled, base).ids());
  const shift = base.endId - distilled.endId;
  for (let id = split.firstId; id < split.endId; id++) ids[id] = id + shift;
  const names = baseNames(distilled, base, ids);
  const words = split.words.slice();
  for (let id = split.firstId as TypeId; id < split.endId; id++) {
    rewrite({ split, base, words, ids, names }, id);
  }
  const layout = ownLayout(split, littleEndian);
  const bytes = writeBtf({ littleEndian, words, strings: split.strings.bytes, layout });
  return { btf: parseBtf(bytes, { name, base, pointerSize }), ids };
}

interface Work {
  readonly split: Btf;
  readonly base: Btf;
  readonly words: Uint32Array;
  readonly ids: Uint32Array;
  /** Offset in the new base of each name of the distilled one. */
  readonly names: ReadonlyMap<number, number>;
}

/** The split BTF shares the names of the distilled base, and has to find them in the new one. */
function baseNames(distilled: Btf, base: Btf, ids: Uint32Array): ReadonlyMap<number, number> {
  const names = new Map<number, number>([[0, 0]]);
  for (let id = 1 as TypeId; id < distilled.endId; id++) {
    names.set(distilled.nameOffsetOf(id), base.nameOffsetOf(ids[id] as TypeId));
  }
  return names;
}

function rewrite(work: Work, id: TypeId): void {
  const { split, base, words, ids } = work;
  const kind = split.kindOf(id);
  if (kind > BTF_KIND.ENUM64) {
    throw failure(split, base, { kind: 'unknown-kind', id, number: kind });
  }
  const { start, end, role } = fieldsOf(split, id);
  for (let at = start; at < end; at++) {
    const word = words[at] as number;
    const what = role(at - start);
    if (what === FIELD.ID) words[at] = ids[word] as number;
    else if (what === FIELD.NAME) words[at] = newName(work, word);
  }
}

function newName({ split, base, names }: Work, offset: number): number {
  if (offset >= split.strings.start) return offset - split.strings.start + base.strings.end;
  const found = names.get(offset);
  if (found !== undefined) return found;
  throw failure(split, base, { kind: 'string', text: split.string(offset) });
}

function failure(split: Btf, base: Btf, fault: BtfRelocateFault): BpfError {
  return new BpfError({ code: 'btf-relocate', btf: split.name, base: base.name, fault });
}
