import { escapeName } from '../../errors/quote.ts';
import { type CommandContext, printReport } from '../terminal.ts';
import { Words } from '../words.ts';

const usage = 'btf { show | list } [id BTF_ID]';

/** One BTF that the running kernel holds, in the form of bpftool's JSON. */
export type ShownBtf = {
  readonly id: number;
  /** In bytes. */
  readonly size: number;
  /** Programs and maps that came with it. */
  readonly prog_ids: readonly number[];
  readonly map_ids: readonly number[];
  /** Processes that hold it; absent where there are none. */
  readonly pids?: readonly { readonly pid: number; readonly comm: string }[];
  /** Of the kernel itself or one of its modules. */
  readonly kernel: boolean;
  /** Absent where it has none. */
  readonly name?: string;
};

/** What `tsbpf btf show` prints: all in the order of ids, or the one that is asked for. */
export type BtfShowReport = readonly ShownBtf[] | ShownBtf;

/** `tsbpf btf show`: what BTF the running kernel holds, as `bpftool btf show`. */
export async function btfShowCommand(
  args: readonly string[],
  context: CommandContext,
): Promise<void> {
  const words = new Words(args, usage);
  const only = words.take('id') ? words.number('BTF_ID') : undefined;
  words.end();
  const all = await shownBtf(only);
  const [first] = all;
  const report = only === undefined || first === undefined ? all : first;
  printReport<BtfShowReport>(context, report, renderShow);
}

async function shownBtf(only: number | undefined): Promise<readonly ShownBtf[]> {
  const kernel = await import('../../kernel/index.ts');
  const wanted = only === undefined ? kernel.listKernelBtf() : [kernel.kernelBtfInfo(only)];
  const programs = byBtf(kernel.listKernelPrograms());
  const maps = byBtf(kernel.listKernelMaps());
  const holders = kernel.holdersOf('btf');
  return wanted.map(({ id, size, kernel: own, name }) => {
    const held = holders.get(id);
    return {
      id,
      size,
      prog_ids: programs.get(id) ?? [],
      map_ids: maps.get(id) ?? [],
      ...(held && { pids: held.map(({ pid, command }) => ({ pid, comm: command })) }),
      kernel: own,
      ...(name !== '' && { name }),
    };
  });
}

function byBtf(
  objects: readonly { readonly id: number; readonly btfId: number }[],
): ReadonlyMap<number, readonly number[]> {
  const found = new Map<number, number[]>();
  for (const { id, btfId } of objects) {
    if (btfId !== 0) found.set(btfId, [...(found.get(btfId) ?? []), id]);
  }
  return found;
}

function renderShow(report: BtfShowReport): string {
  return ('id' in report ? [report] : report).map(renderBtf).join('');
}

function renderBtf(btf: ShownBtf): string {
  const ids = (label: string, list: readonly number[]): string =>
    list.length === 0 ? '' : `  ${label} ${list.join(',')}`;
  const pids = btf.pids?.map(({ pid, comm }) => `${escapeName(comm)}(${pid})`).join(', ');
  const held = pids === undefined ? '' : `\n\tpids ${pids}`;
  const lists = ids('prog_ids', btf.prog_ids) + ids('map_ids', btf.map_ids);
  return `${btf.id}: name ${nameOf(btf)}  size ${btf.size}B${lists}${held}\n`;
}

function nameOf({ name, kernel }: ShownBtf): string {
  if (kernel) return `[${escapeName(name ?? '')}]`;
  return name === undefined ? '<anon>' : escapeName(name);
}
