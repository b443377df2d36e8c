import type { AttachTargetFault } from '../errors/object.ts';
import { BpfError } from '../errors.ts';
import { matchSection } from './section-rules.ts';
import type { ProgramSpec } from './spec.ts';

/**
 * What a program attaches to, as far as its section says: the parts that libbpf's automatic
 * attachment takes the name apart into. Nothing is looked up.
 */
export type AttachTarget =
  /** The section says no more than the program's type: attaching needs more. */
  | { readonly kind: 'none' }
  /** A function of the kernel by name, with an offset in bytes (`kprobe/do_exit+0x10`). */
  | {
      readonly kind: 'kprobe';
      readonly function: string;
      readonly offset: bigint;
      readonly returns: boolean;
    }
  /** Functions of the kernel by a pattern with `*` and `?`. */
  | {
      readonly kind: 'kprobe-multi';
      readonly pattern: string;
      readonly form: 'entry' | 'return' | 'session';
    }
  /** A system call by name, whose function has another name on each architecture. */
  | { readonly kind: 'syscall'; readonly name: string; readonly returns: boolean }
  /** A function of a program or library; the binary is a path, or a name to search for. */
  | {
      readonly kind: 'uprobe';
      readonly binary: string;
      readonly function: string;
      readonly offset: bigint;
      readonly returns: boolean;
    }
  | {
      readonly kind: 'uprobe-multi';
      readonly binary: string;
      readonly pattern: string;
      readonly form: 'entry' | 'return' | 'session';
    }
  | {
      readonly kind: 'usdt';
      readonly binary: string;
      readonly provider: string;
      readonly name: string;
    }
  | { readonly kind: 'tracepoint'; readonly category: string; readonly name: string }
  | { readonly kind: 'raw-tracepoint'; readonly name: string }
  /** Something in the types of the kernel, or of a module (`fentry/module:function`). */
  | {
      readonly kind: 'btf';
      readonly of: 'function' | 'tracepoint' | 'lsm-hook' | 'iterator';
      readonly name: string;
      readonly module: string | undefined;
    }
  /** Functions by a pattern, through their types (`fentry.multi`). */
  | { readonly kind: 'btf-multi'; readonly pattern: string }
  /** A function of another program, which has to be given. */
  | { readonly kind: 'extension'; readonly function: string }
  /** A member of the structs of callbacks that the program is in; a mere note. */
  | { readonly kind: 'struct-ops'; readonly member: string }
  /** A target in a section that has a handler of its own. */
  | { readonly kind: 'custom'; readonly target: string };

/**
 * Takes the attach target of a program apart, by the rules of its section's family (libbpf's
 * `attach_kprobe`, `attach_uprobe`, `attach_usdt`, `attach_tp`, …). {@link BpfError}
 * `attach-target` where the section's name cannot mean anything of its family.
 *
 * @example `attachTargetOf(program)` of `SEC("uprobe/libc.so.6:malloc+4")` is
 * `{ kind: 'uprobe', binary: 'libc.so.6', function: 'malloc', offset: 4n, returns: false }`.
 */
export function attachTargetOf(
  program: Pick<ProgramSpec, 'section' | 'attachTarget'>,
): AttachTarget {
  const { section, attachTarget: target } = program;
  const family = matchSection(section)?.rule.name;
  if (target === undefined) return { kind: 'none' };
  if (family === undefined) return { kind: 'custom', target };
  const parse = parsers.get(family);
  return parse === undefined ? { kind: 'none' } : parse(target, section);
}

type Parser = (target: string, section: string) => AttachTarget;

const parsers: ReadonlyMap<string, Parser> = new Map([
  ...each(['kprobe'], kprobe(false)),
  ...each(['kretprobe'], kprobe(true)),
  ...each(['kprobe.multi'], kprobeMulti('entry')),
  ...each(['kretprobe.multi'], kprobeMulti('return')),
  ...each(['kprobe.session'], kprobeMulti('session')),
  ...each(['ksyscall'], (name) => ({ kind: 'syscall', name, returns: false })),
  ...each(['kretsyscall'], (name) => ({ kind: 'syscall', name, returns: true })),
  ...each(['uprobe', 'uprobe.s'], uprobe(false)),
  ...each(['uretprobe', 'uretprobe.s'], uprobe(true)),
  ...each(['uprobe.multi', 'uprobe.multi.s'], uprobeMulti('entry')),
  ...each(['uretprobe.multi', 'uretprobe.multi.s'], uprobeMulti('return')),
  ...each(['uprobe.session', 'uprobe.session.s'], uprobeMulti('session')),
  ...each(['usdt', 'usdt.s'], usdt),
  ...each(['tracepoint', 'tp', 'tracepoint.s', 'tp.s'], tracepoint),
  ...each(
    ['raw_tracepoint', 'raw_tp', 'raw_tracepoint.s', 'raw_tp.s', 'raw_tracepoint.w', 'raw_tp.w'],
    (name) => ({ kind: 'raw-tracepoint', name }),
  ),
  ...each(['tp_btf', 'tp_btf.s'], typed('tracepoint')),
  ...each(
    ['fentry', 'fentry.s', 'fexit', 'fexit.s', 'fmod_ret', 'fmod_ret.s', 'fsession', 'fsession.s'],
    typed('function'),
  ),
  ...each(['lsm', 'lsm.s', 'lsm_cgroup'], typed('lsm-hook')),
  ...each(['iter', 'iter.s'], typed('iterator')),
  ...each(
    [
      'fentry.multi',
      'fentry.multi.s',
      'fexit.multi',
      'fexit.multi.s',
      'fsession.multi',
      'fsession.multi.s',
    ],
    (pattern) => ({ kind: 'btf-multi', pattern }),
  ),
  ...each(['freplace'], (name) => ({ kind: 'extension', function: name })),
  ...each(['struct_ops', 'struct_ops.s'], (member) => ({ kind: 'struct-ops', member })),
]);

function each(names: readonly string[], parser: Parser): readonly (readonly [string, Parser])[] {
  return names.map((name) => [name, parser]);
}

function kprobe(returns: boolean): Parser {
  return (target, section) => {
    const match = /^([A-Za-z0-9_.]+)(.*)$/su.exec(target);
    if (match === null) throw bad(section, { kind: 'kprobe' });
    const [, name = '', rest = ''] = match;
    // libbpf reads a number and passes over what is none.
    const offset = leadingNumber(rest) ?? 0n;
    if (returns && offset !== 0n) throw bad(section, { kind: 'return-offset', offset });
    return { kind: 'kprobe', function: name, offset, returns };
  };
}

function kprobeMulti(form: 'entry' | 'return' | 'session'): Parser {
  return (target, section) => {
    const pattern = /^[A-Za-z0-9_.*?]+/u.exec(target)?.[0];
    if (pattern === undefined) throw bad(section, { kind: 'kprobe' });
    return { kind: 'kprobe-multi', pattern, form };
  };
}

/** `binary:function`, split at the first colon. */
function splitBinary(target: string, section: string): readonly [string, string] {
  const colon = target.indexOf(':');
  if (colon <= 0) throw bad(section, { kind: 'uprobe' });
  const name = target.slice(colon + 1);
  if (name === '') throw bad(section, { kind: 'uprobe-function' });
  return [target.slice(0, colon), name];
}

function uprobe(returns: boolean): Parser {
  return (target, section) => {
    const [binary, name] = splitBinary(target, section);
    const plus = name.lastIndexOf('+');
    const text = plus < 0 ? '' : name.slice(plus);
    // Only a number up to the end is an offset: symbols of C++ and Rust may hold a plus.
    const parsed = wholeNumber(text);
    const offset = parsed ?? 0n;
    if (returns && offset !== 0n) throw bad(section, { kind: 'return-offset', offset });
    const symbol = parsed === undefined ? name : name.slice(0, plus);
    return { kind: 'uprobe', binary, function: symbol, offset, returns };
  };
}

function uprobeMulti(form: 'entry' | 'return' | 'session'): Parser {
  return (target, section) => {
    const [binary, pattern] = splitBinary(target, section);
    return { kind: 'uprobe-multi', binary, pattern, form };
  };
}

function usdt(target: string, section: string): AttachTarget {
  const [binary = '', provider = '', name = ''] = target.split(':');
  if (binary === '' || provider === '' || name === '') throw bad(section, { kind: 'usdt' });
  return { kind: 'usdt', binary, provider, name };
}

function tracepoint(target: string, section: string): AttachTarget {
  const slash = target.indexOf('/');
  if (slash < 0) throw bad(section, { kind: 'tracepoint' });
  return {
    kind: 'tracepoint',
    category: target.slice(0, slash),
    name: target.slice(slash + 1),
  };
}

function typed(of: 'function' | 'tracepoint' | 'lsm-hook' | 'iterator'): Parser {
  return (target) => {
    const colon = target.indexOf(':');
    return colon < 0
      ? { kind: 'btf', of, name: target, module: undefined }
      : { kind: 'btf', of, name: target.slice(colon + 1), module: target.slice(0, colon) };
  };
}

/**
 * A number as C's `strtol` reads it: decimal, `0x…` or octal, with or without a sign; with no
 * more digits than 64 bits can have.
 */
const numberPattern = /^([+-]?)(0x[0-9a-f]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})/iu;

function leadingNumber(text: string): bigint | undefined {
  const match = numberPattern.exec(text);
  if (match === null) return undefined;
  const [, sign = '', digits = ''] = match;
  const isOctal = /^0[0-7]/u.test(digits);
  const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  return BigInt.asIntN(64, sign === '-' ? -value : value);
}

function wholeNumber(text: string): bigint | undefined {
  return numberPattern.exec(text)?.[0] === text && text !== '' ? leadingNumber(text) : undefined;
}

function bad(section: string, fault: AttachTargetFault): BpfError {
  return new BpfError({ code: 'attach-target', section, fault });
}
