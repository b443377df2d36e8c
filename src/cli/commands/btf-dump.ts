import type { Btf } from '../../btf/btf.ts';
import type { DumpCOptions } from '../../btf/dump/c.ts';
import { mergeBtfs } from '../../btf/dump/merge.ts';
import type { TypeId } from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';
import type { KernelSelector } from '../../kernel/index.ts';
import { readBtfFile } from '../files.ts';
import { type CommandContext, type OutputOptions, printBytes } from '../terminal.ts';
import { UsageError } from '../usage.ts';
import { Words } from '../words.ts';

const usage =
  'btf dump { file FILE [file FILE]... | id BTF_ID | prog PROG | map MAP [{ key | value | kv | all }] } ' +
  '[format { raw | c [unsorted] }] [root_id ROOT_ID]...; ' +
  'PROG: { id ID | name NAME | tag TAG | pinned PATH }; MAP: { id ID | name NAME | pinned PATH }';

type Source =
  | { readonly kind: 'files'; readonly files: readonly string[] }
  | { readonly kind: 'id'; readonly id: number }
  | { readonly kind: 'prog'; readonly selector: KernelSelector }
  | { readonly kind: 'map'; readonly selector: KernelSelector; readonly part: MapPart };

/** Which types of a map are wanted. */
const mapParts = ['key', 'value', 'kv', 'all'] as const;
type MapPart = (typeof mapParts)[number];

/** What the words of `btf dump` ask for. */
interface DumpRequest {
  readonly source: Source;
  readonly format: 'raw' | 'c';
  readonly unsorted: boolean;
  readonly roots: readonly number[];
}

function parseRequest(args: readonly string[]): DumpRequest {
  const words = new Words(args, usage);
  const source = parseSource(words);
  let format: 'raw' | 'c' = 'raw';
  let unsorted = false;
  const roots: number[] = [];
  while (!words.done) {
    if (words.take('format')) format = words.oneOf(['raw', 'c'], 'format');
    else if (words.take('unsorted')) unsorted = true;
    else if (words.take('root_id')) roots.push(parseRoot(words, source, roots));
    else words.end();
  }
  return { source, format, unsorted, roots };
}

function parseRoot(words: Words, source: Source, others: readonly number[]): number {
  if (source.kind === 'map' && source.part !== 'all') {
    throw words.refuse('root_id does not go with the types of a key or value; use map MAP all');
  }
  const root = words.number('ROOT_ID');
  if (others.includes(root)) throw words.refuse(`root_id ${root} is given twice`);
  return root;
}

function parseSource(words: Words): Source {
  const kind = words.oneOf(['map', 'prog', 'id', 'file'], 'source of BTF');
  switch (kind) {
    case 'id':
      return { kind, id: words.number('BTF_ID') };
    case 'prog':
      return { kind, selector: parseSelector(words, ['id', 'name', 'tag', 'pinned']) };
    case 'map': {
      const selector = parseSelector(words, ['id', 'name', 'pinned']);
      return { kind, selector, part: mapParts.find((part) => words.take(part)) ?? 'kv' };
    }
    case 'file': {
      const files = [words.next('FILE')];
      while (words.take('file')) files.push(words.next('FILE'));
      return { kind: 'files', files };
    }
  }
}

function parseSelector(words: Words, kinds: readonly KernelSelector['by'][]): KernelSelector {
  const by = words.oneOf(kinds, `way to name it (${kinds.join(', ')})`);
  switch (by) {
    case 'id':
      return { by, id: words.number('ID') };
    case 'name':
      return { by, name: words.next('NAME') };
    case 'tag':
      return { by, tag: words.next('TAG') };
    case 'pinned':
      return { by, path: words.next('PATH') };
  }
}

/**
 * `tsbpf btf dump …` with bpftool's words; `base` is the file that `-B` names. The output is
 * bpftool's, byte for byte; JSON is for the raw format, as there.
 */
export async function btfDumpCommand(
  args: readonly string[],
  base: string | undefined,
  { terminal, output }: CommandContext,
): Promise<void> {
  const request = parseRequest(args);
  if (request.format === 'c' && output.json) {
    throw new UsageError('there is no JSON of types in C; leave out -j, or use format raw');
  }
  const baseBtf = base === undefined ? undefined : readBtfFile(base);
  // Loaded while the types are read.
  const dumping = dumperFor(request, output);
  const { btf, roots: ofMap } = await readSource(request.source, baseBtf);
  const roots = rootTypes(btf, [...ofMap, ...request.roots]);
  await printBytes(terminal, (await dumping)(btf, { unsorted: request.unsorted, roots }));
}

/** A root that is not there is found out before the first line is printed. */
function rootTypes(btf: Btf, roots: readonly number[]): readonly TypeId[] | undefined {
  if (roots.length === 0) return undefined;
  return roots.map((root) => btf.type(root as TypeId).id);
}

type Dumper = (btf: Btf, options: DumpCOptions) => Uint8Array;

/** Makes what is to be printed; only the dump that does so is loaded. */
async function dumperFor(
  { format }: DumpRequest,
  { json, pretty }: OutputOptions,
): Promise<Dumper> {
  if (format === 'c') return (await import('../../btf/dump/c.ts')).dumpCBytes;
  if (!json) return (await import('../../btf/dump/raw.ts')).dumpRawBytes;
  const { dumpJsonBytes } = await import('../../btf/dump/json-text.ts');
  return (btf, options) =>
    dumpJsonBytes(btf, { ...options, indent: pretty ? 4 : 0, lineEnd: true });
}

/** Types, and which of them the source itself asks for. */
interface Types {
  readonly btf: Btf;
  readonly roots: readonly number[];
}

async function readSource(source: Source, base: Btf | undefined): Promise<Types> {
  if (source.kind === 'files') return { btf: readFiles(source.files, base), roots: [] };
  const kernel = await import('../../kernel/index.ts');
  if (source.kind === 'id') return { btf: kernel.kernelBtfById(source.id, base), roots: [] };
  if (source.kind === 'prog') {
    const { id, btfId } = kernel.findKernelProgram(source.selector);
    return { btf: kernel.kernelBtfById(withTypes('program', id, btfId), base), roots: [] };
  }
  const { id, btfId, keyTypeId, valueTypeId } = kernel.findKernelMap(source.selector);
  const btf = kernel.kernelBtfById(withTypes('map', id, btfId), base);
  const roots = { key: [keyTypeId], value: [valueTypeId], kv: [keyTypeId, valueTypeId], all: [] };
  return { btf, roots: roots[source.part] };
}

function withTypes(what: 'map' | 'program', id: number, btfId: number): number {
  if (btfId !== 0) return btfId;
  const reason = 'it was loaded without types (BTF)';
  throw new BpfError({ code: 'kernel-unsupported', what, name: String(id), reason });
}

/**
 * One file, or several merged. Types of modules go on the kernel's, which therefore counts as
 * the base where it is named besides others.
 */
function readFiles(files: readonly string[], given: Btf | undefined): Btf {
  const others = files.filter((file) => file !== vmlinuxFile);
  if (others.length === 0) return readBtfFile(vmlinuxFile);
  const modules = others.some((file) => file.startsWith(sysfsFolder));
  const base = given ?? (modules ? readBtfFile(vmlinuxFile) : undefined);
  if (others.length > 1 && base === undefined) {
    throw new UsageError('several files are merged on a common base: name it with -B');
  }
  return mergeBtfs(others.map((file) => readBtfFile(file, base)));
}

const sysfsFolder = '/sys/kernel/btf/';
const vmlinuxFile = `${sysfsFolder}vmlinux`;
