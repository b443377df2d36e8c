import { quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of the kernel backend. Failed map operations are `errno`, as in the VM. */
export type KernelErrorDetail =
  /** There is no bpf() to call: not Linux, no koffi, an unknown architecture. */
  | { readonly code: 'kernel-unavailable'; readonly reason: string }
  /** The running kernel's types could not be read. */
  | {
      readonly code: 'kernel-btf-missing';
      readonly tried: readonly { readonly path: string; readonly reason: string }[];
    }
  /** The object asks for something that this backend cannot do. */
  | {
      readonly code: 'kernel-unsupported';
      /** `map` or `program`. */
      readonly what: string;
      readonly name: string;
      readonly reason: string;
    }
  /** A map, program or backend was used after `close()`. */
  | { readonly code: 'closed'; readonly what: string; readonly name: string }
  /** A function, tracepoint or iterator that a program wants to attach to is not there. */
  | {
      readonly code: 'attach-target';
      readonly program: string;
      readonly section: string;
      /** Name that was looked for in the kernel's types; undefined where the section names none. */
      readonly wanted: string | undefined;
      readonly similar: readonly string[];
    }
  /** The kernel refused the object's types. */
  | {
      readonly code: 'btf-load';
      readonly errno: string;
      readonly number: number;
      readonly cause: string | undefined;
      /** What the kernel wrote about it, complete. */
      readonly log: string;
    }
  /** The kernel refused a program. */
  | {
      readonly code: 'program-load';
      readonly program: string;
      readonly section: string;
      readonly errno: string;
      readonly number: number;
      /** What is likely wrong and what to do, where that is known. */
      readonly cause: string | undefined;
      readonly failure: VerifierFailure | undefined;
      /** The verifier's log, complete unless `logTruncated`. */
      readonly log: string;
      readonly logTruncated: boolean;
    };

/** What the verifier's log says about the place where it gave up. */
export interface VerifierFailure {
  /** The verdict, such as `R1 invalid mem access 'scalar'`. */
  readonly message: string;
  /** Index of the instruction, in 8-byte slots of the whole program. */
  readonly insn: number | undefined;
  /** C source of that instruction: `file.c:12: text`. */
  readonly source: string | undefined;
}

/** Lines of a kernel log that an error message shows. */
const shownLines = 12;

/** The last lines of a log, each made safe to print, indented. */
function logTail(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) return '';
  const tail = lines.slice(-shownLines).map((line) => `\n  ${printable(line)}`);
  const more = lines.length > shownLines ? `\n  … ${lines.length - shownLines} lines before` : '';
  return `\nkernel log:${more}${tail.join('')}`;
}

/** Kernel logs quote names and source lines of the object: nothing else than text may pass. */
function printable(line: string): string {
  const cut = line.length > 300 ? `${line.slice(0, 300)}…` : line;
  return cut.replace(/[^\t\p{L}\p{N}\p{P}\p{S}\p{M} ]/gu, (char) => {
    return `\\u{${(char.codePointAt(0) as number).toString(16)}}`;
  });
}

function describeFailure(failure: VerifierFailure | undefined): string {
  if (failure === undefined) return '';
  const at = failure.insn === undefined ? '' : ` at instruction ${failure.insn}`;
  const source = failure.source === undefined ? '' : ` (${printable(failure.source)})`;
  return `: the verifier stopped${at}${source}: ${printable(failure.message)}`;
}

function because(cause: string | undefined): string {
  return cause === undefined ? '' : `; ${cause}`;
}

export const kernelWords: Words<KernelErrorDetail> = {
  'kernel-unavailable': (d) => `the kernel backend cannot be used here: ${d.reason}`,
  'kernel-btf-missing': (d) => {
    const tried = d.tried.map((t) => `${t.path} (${t.reason})`).join(', ');
    return `no types of the running kernel were found; give a BTF file instead. Tried ${tried}`;
  },
  'kernel-unsupported': (d) => `${d.what} ${quoteName(d.name)}: ${d.reason}`,
  closed: (d) => `${d.what} ${quoteName(d.name)} is closed`,
  'attach-target': (d) => {
    const program = `program ${quoteName(d.program)}`;
    if (d.wanted === undefined) {
      return `${program}: its section ${quoteName(d.section)} names nothing to attach to; write it as in 'fentry/do_unlinkat'`;
    }
    const similar = d.similar.map(quoteName).join(', ');
    const hint = similar === '' ? '' : `; similar names: ${similar}`;
    return `${program}: this kernel has no ${quoteName(d.wanted)} for section ${quoteName(d.section)}${hint}`;
  },
  'btf-load': (d) =>
    `load types into the kernel (BPF_BTF_LOAD): ${d.errno} (${d.number})${because(d.cause)}${logTail(d.log)}`,
  'program-load': (d) =>
    `load program ${quoteName(d.program)} (BPF_PROG_LOAD): ${d.errno} (${d.number})${describeFailure(d.failure)}${because(d.cause)}${logTail(d.log)}`,
};
