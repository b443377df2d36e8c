import type { Btf } from '../../btf/btf.ts';
import type { DumpCOptions } from '../../btf/dump/c.ts';
import type { TypeId } from '../../btf/types.ts';
import { readBtfFile } from '../files.ts';
import { type CommandContext, type OutputOptions, printBytes } from '../terminal.ts';
import { Words } from '../words.ts';

const usage =
  'btf dump { file FILE | id BTF_ID } [format { raw | c [unsorted] }] [root_id ROOT_ID]...';

/** What the words of `btf dump` ask for. */
interface DumpRequest {
  readonly source: { readonly file: string } | { readonly id: number };
  readonly format: 'raw' | 'c';
  readonly unsorted: boolean;
  readonly roots: readonly number[];
}

function parseRequest(args: readonly string[]): DumpRequest {
  const words = new Words(args, usage);
  const kind = words.oneOf(['file', 'id'], 'source of BTF');
  const source = kind === 'file' ? { file: words.next('FILE') } : { id: words.number('BTF_ID') };
  let format: 'raw' | 'c' = 'raw';
  let unsorted = false;
  const roots: number[] = [];
  while (!words.done) {
    if (words.take('format')) {
      format = words.oneOf(['raw', 'c'], 'format');
      unsorted = format === 'c' && words.take('unsorted');
    } else if (words.take('root_id')) roots.push(words.number('ROOT_ID'));
    else words.end();
  }
  return { source, format, unsorted, roots };
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
  const baseBtf = base === undefined ? undefined : readBtfFile(base);
  const btf = await readSource(request.source, baseBtf);
  const roots = request.roots.length === 0 ? undefined : (request.roots as readonly TypeId[]);
  await printBytes(terminal, await dumpBytes(btf, { ...request, roots }, output));
}

/** What is to be printed; only the dump that makes it is loaded. */
async function dumpBytes(
  btf: Btf,
  { format, ...options }: Pick<DumpRequest, 'format' | 'unsorted'> & DumpCOptions,
  { json, pretty }: OutputOptions,
): Promise<Uint8Array> {
  if (format === 'c') return (await import('../../btf/dump/c.ts')).dumpCBytes(btf, options);
  if (!json) return (await import('../../btf/dump/raw.ts')).dumpRawBytes(btf, options);
  const { dumpJsonBytes } = await import('../../btf/dump/json-text.ts');
  return dumpJsonBytes(btf, { ...options, indent: pretty ? 4 : 0, lineEnd: true });
}

async function readSource(source: DumpRequest['source'], base: Btf | undefined): Promise<Btf> {
  if ('file' in source) return readBtfFile(source.file, base);
  const { kernelBtfById } = await import('../../kernel/index.ts');
  return kernelBtfById(source.id, base);
}
