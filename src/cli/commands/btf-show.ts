import { escapeName } from '../../errors/quote.ts';
import { type CommandContext, printReport } from '../terminal.ts';

/** What `tsbpf btf show` prints, in the order of ids. */
export type BtfShowReport = readonly {
  readonly id: number;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Of the kernel itself or one of its modules. */
  readonly kernel: boolean;
}[];

/** `tsbpf btf show`: every BTF that the running kernel holds. */
export async function btfShowCommand(context: CommandContext): Promise<void> {
  const { listKernelBtf } = await import('../../kernel/index.ts');
  const report = listKernelBtf().map(({ id, size, kernel, name }) => ({ id, size, kernel, name }));
  printReport<BtfShowReport>(context, report, renderShow);
}

function renderShow(report: BtfShowReport): string {
  return report.map((each) => `${each.id}: name ${nameOf(each)}  size ${each.size}B\n`).join('');
}

function nameOf({ name, kernel }: BtfShowReport[number]): string {
  if (kernel) return `[${escapeName(name)}]`;
  return name === '' ? '<anon>' : escapeName(name);
}
