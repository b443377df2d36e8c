import type { Btf } from '../../btf/btf.ts';
import { dumpC } from '../../btf/dump/c.ts';
import { dumpJson } from '../../btf/dump/json.ts';
import { dumpRaw } from '../../btf/dump/raw.ts';
import type { TypeId } from '../../btf/types.ts';
import { readBtfFile } from '../input.ts';
import { toJson } from '../json.ts';
import type { CommandContext } from '../terminal.ts';
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
  if (request.format === 'c') terminal.out(dumpC(btf, { roots, unsorted: request.unsorted }));
  else if (output.json) {
    terminal.out(`${toJson(dumpJson(btf, { roots }), output.pretty ? 4 : 0)}\n`);
  } else terminal.out(dumpRaw(btf, { roots }));
}

async function readSource(source: DumpRequest['source'], base: Btf | undefined): Promise<Btf> {
  if ('file' in source) return readBtfFile(source.file, base);
  const { readKernelBtf } = await import('../../kernel/index.ts');
  return readKernelBtf(source.id, base);
}
