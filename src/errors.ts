import { type AsmErrorDetail, asmWords } from './errors/asm.ts';
import { type BtfErrorDetail, btfWords } from './errors/btf.ts';
import { type BytesErrorDetail, bytesWords } from './errors/bytes.ts';
import { type CliErrorDetail, cliWords } from './errors/cli.ts';
import { type ElfErrorDetail, elfWords } from './errors/elf.ts';
import { type KernelErrorDetail, kernelWords } from './errors/kernel.ts';
import { type LoaderErrorDetail, loaderWords } from './errors/loader.ts';
import { type ObjectErrorDetail, objectWords } from './errors/object.ts';
import { quoteName } from './errors/quote.ts';
import { type RelocsErrorDetail, relocsWords } from './errors/relocs.ts';
import { type VmErrorDetail, vmWords } from './errors/vm.ts';
import type { Words } from './errors/words.ts';

/**
 * What went wrong, as data: a union discriminated by `code`. Each room of the project
 * owns one file below `errors/` with its details and the sentence for each.
 */
export type BpfErrorDetail =
  | AsmErrorDetail
  | BtfErrorDetail
  | BytesErrorDetail
  | CliErrorDetail
  | ElfErrorDetail
  | KernelErrorDetail
  | LoaderErrorDetail
  | ObjectErrorDetail
  | RelocsErrorDetail
  | VmErrorDetail;

/** The discriminant of {@link BpfErrorDetail}. */
export type BpfErrorCode = BpfErrorDetail['code'];

/**
 * Where it went wrong, outermost first. Each layer adds only what it knows; the innermost
 * detail stays what it was.
 */
export type ErrorContext =
  | { readonly action: string }
  | { readonly file: string }
  | { readonly section: string }
  | { readonly map: string }
  | { readonly program: string }
  | { readonly insn: number; readonly source?: string | undefined };

const words: Words<BpfErrorDetail> = {
  ...asmWords,
  ...btfWords,
  ...bytesWords,
  ...cliWords,
  ...elfWords,
  ...kernelWords,
  ...loaderWords,
  ...objectWords,
  ...relocsWords,
  ...vmWords,
};

/** The sentence for a detail: lower case, names escaped, and what to do where that is known. */
export function describe(detail: BpfErrorDetail): string {
  const say = words[detail.code] as (detail: BpfErrorDetail) => string;
  return say(detail);
}

function describeContext(context: ErrorContext): string {
  if ('action' in context) return context.action;
  if ('file' in context) return quoteName(context.file);
  if ('section' in context) return `section ${quoteName(context.section)}`;
  if ('map' in context) return `map ${quoteName(context.map)}`;
  if ('program' in context) return `program ${quoteName(context.program)}`;
  const source = context.source === undefined ? '' : ` (${context.source})`;
  return `instruction ${context.insn}${source}`;
}

/**
 * The one error class: everything that a user can cause is thrown as this. Other
 * exceptions are defects of the library.
 *
 * @example
 * ```ts
 * try {
 *   openObject(bytes);
 * } catch (error) {
 *   if (error instanceof BpfError && error.detail.code === 'truncated') console.log(error.detail.need);
 * }
 * ```
 */
export class BpfError extends Error {
  readonly detail: BpfErrorDetail;
  readonly context: readonly ErrorContext[];

  constructor(
    detail: BpfErrorDetail,
    options: { readonly context?: readonly ErrorContext[]; readonly cause?: unknown } = {},
  ) {
    const context = options.context ?? [];
    const message = [...context.map(describeContext), describe(detail)].join(': ');
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BpfError';
    this.detail = detail;
    this.context = context;
  }

  /** The detail's code, for a quick test. */
  get code(): BpfErrorCode {
    return this.detail.code;
  }
}

/**
 * Runs `work`; a {@link BpfError} that it throws leaves with `context` in front of its own.
 * Anything else passes through untouched.
 */
export function withContext<T>(context: ErrorContext, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw addContext(error, context);
  }
}

/** The error with `context` put in front, where it is a {@link BpfError}; else the same error. */
export function addContext(error: unknown, context: ErrorContext): unknown {
  if (!(error instanceof BpfError)) return error;
  const [outermost] = error.context;
  // Two layers may know the same, such as the program's name: it is said once.
  if (outermost !== undefined && describeContext(outermost) === describeContext(context)) {
    return error;
  }
  return new BpfError(error.detail, {
    context: [context, ...error.context],
    cause: error.cause ?? error,
  });
}

/** Marks a place that no value can reach; the compiler proves it through `never`. */
export function unreachable(value: never, what: string): never {
  throw new Error(`unexpected ${what}: ${String(value)}`);
}
