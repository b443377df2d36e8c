import { escapeName, quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of the kernel backend. Failed map operations are `errno`, as in the VM. */
export type KernelErrorDetail =
  /** There is no bpf() to call: not Linux, no koffi, an unknown architecture. */
  | { readonly code: 'kernel-unavailable'; readonly reason: string }
  /** A kernel's types, or those of one of its modules, could not be read. */
  | {
      readonly code: 'kernel-btf-missing';
      /** The module, undefined for the kernel itself. */
      readonly module?: string | undefined;
      readonly release: string;
      /** In the order of trying. */
      readonly tried: readonly KernelBtfAttempt[];
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
      readonly code: 'attach-target-missing';
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

/** A place where a kernel's types were looked for in vain. */
export interface KernelBtfAttempt {
  readonly path: string;
  readonly problem: 'missing' | 'no-permission' | 'unreadable' | 'unusable';
  /** In words. */
  readonly reason: string;
}

/** What the verifier's log says about the place where it gave up. */
export interface VerifierFailure {
  /** The verdict, such as `R1 invalid mem access 'scalar'`. */
  readonly message: string;
  /** Index of the instruction, in 8-byte slots of the whole program. */
  readonly insn: number | undefined;
  /** That instruction in the kernel's notation. */
  readonly instruction: string | undefined;
  /** C source of that instruction: `file.c:12: text`. */
  readonly source: string | undefined;
  /** States of the registers that the verdict names: `R1=scalar(umax=255)`. */
  readonly registers: readonly string[];
  /** The last lines of C on the way there, `file.c:12: text`, oldest first. */
  readonly path: readonly string[];
  /** What kernels from 7.3 on add: why it is refused, and what to do. */
  readonly reason: string | undefined;
  readonly suggestion: string | undefined;
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

/** The failing place with what led there, in a few lines; a log without a verdict shows its end. */
function failureFrame(failure: VerifierFailure | undefined, log: string): string {
  if (failure === undefined) return logTail(log);
  const { instruction, insn, path, registers, reason, suggestion } = failure;
  const lines: string[] = [];
  if (reason !== undefined) lines.push(`reason: ${reason}`);
  if (suggestion !== undefined) lines.push(`suggestion: ${suggestion}`);
  for (const [index, line] of path.entries()) {
    lines.push(`${index === path.length - 1 ? '>' : ' '} ${line}`);
  }
  if (instruction !== undefined) lines.push(`  ${insn}: ${instruction}`);
  for (const register of registers) lines.push(`  ${register}`);
  return lines.map((line) => `\n  ${printable(line)}`).join('');
}

function because(cause: string | undefined): string {
  return cause === undefined ? '' : `; ${cause}`;
}

export const kernelWords: Words<KernelErrorDetail> = {
  'kernel-unavailable': (d) => `the kernel backend cannot be used here: ${d.reason}`,
  'kernel-btf-missing': (d) => {
    const tried = d.tried.map((t) => `\n  ${escapeName(t.path)}: ${t.reason}`).join('');
    const kernel = `kernel ${escapeName(d.release)}`;
    return d.module === undefined
      ? `no types of ${kernel} were found; is it built with CONFIG_DEBUG_INFO_BTF? Else give a BTF file. Tried:${tried}`
      : `no types of module ${quoteName(d.module)} of ${kernel} were found; is it loaded, and built with CONFIG_DEBUG_INFO_BTF_MODULES? Tried:${tried}`;
  },
  'kernel-unsupported': (d) => `${d.what} ${quoteName(d.name)}: ${d.reason}`,
  closed: (d) => `${d.what} ${quoteName(d.name)} is closed`,
  'attach-target-missing': (d) => {
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
    `load program ${quoteName(d.program)} (BPF_PROG_LOAD): ${d.errno} (${d.number})${describeFailure(d.failure)}${because(d.cause)}${failureFrame(d.failure, d.log)}`,
};
