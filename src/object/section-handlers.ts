import { BpfError } from '../errors.ts';
import type { ProgramSpec } from './spec.ts';

/** What a handler of section names can decide about a program. */
export type ProgramSetup = Partial<
  Pick<ProgramSpec, 'type' | 'attachType' | 'attachTarget' | 'flags' | 'autoload'>
>;

/**
 * A meaning for section names of one's own (libbpf's `libbpf_register_prog_handler`).
 *
 * @example A program in `SEC("sampler/100")` is a perf event program with target `100`:
 * `{ name: 'sampler+', type: BPF_PROG_TYPE_PERF_EVENT }`
 */
export interface SectionHandler {
  /**
   * `mine` is that name alone, `mine+` also `mine/target`, `mine/` only the latter.
   * Undefined is every name that nothing else knows.
   */
  readonly name: string | undefined;
  /** `BPF_PROG_TYPE`. */
  readonly type: number;
  /** `BPF_ATTACH_TYPE` expected at load, 0 if left out. */
  readonly attachType?: number;
  /** `BPF_F_*` of program load, 0 if left out. */
  readonly flags?: number;
  /** Handed to {@link setup}. */
  readonly cookie?: bigint;
  /** Called for each program of such a section; what it returns goes into the program. */
  readonly setup?: (program: ProgramSpec, cookie: bigint) => ProgramSetup | undefined;
}

/** The handlers of one opening, in the order given: the first that matches wins. */
export class SectionHandlers {
  readonly #handlers: readonly SectionHandler[];

  constructor(handlers: readonly SectionHandler[] = []) {
    for (const { name } of handlers) {
      if (name !== undefined && !/^[^+/].*$/su.test(name)) {
        throw new BpfError({ code: 'section-handler', name });
      }
    }
    // As with libbpf, the one for everything is asked last.
    this.#handlers = handlers.toSorted(
      (a, b) => Number(a.name === undefined) - Number(b.name === undefined),
    );
  }

  /** The program as its handler wants it; the same one where there is none. */
  apply(program: ProgramSpec): ProgramSpec {
    const handler = this.#handlers.find(({ name }) => matches(name, program.section));
    if (handler === undefined) return program;
    const { type, attachType = 0, flags = 0, cookie = 0n, setup } = handler;
    const attachTarget = targetOf(handler.name, program.section);
    const own = { ...program, type, attachType, flags, attachTarget };
    return { ...own, ...setup?.(own, cookie) };
  }
}

/** libbpf's `sec_def_matches`. */
function matches(name: string | undefined, section: string): boolean {
  if (name === undefined) return true;
  if (name.endsWith('/')) return section.startsWith(name);
  if (!name.endsWith('+')) return section === name;
  const plain = name.slice(0, -1);
  return section === plain || section.startsWith(`${plain}/`);
}

function targetOf(name: string | undefined, section: string): string | undefined {
  if (name === undefined) return undefined;
  const plain = name.replace(/[+/]$/u, '');
  return section.length > plain.length ? section.slice(plain.length + 1) : undefined;
}
