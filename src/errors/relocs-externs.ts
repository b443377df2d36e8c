import { escapeName, quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of finding what an object declares as `extern`. */
export type RelocsExternsErrorDetail =
  /** The configuration's value does not fit the variable that the object declares for it. */
  | {
      readonly code: 'kconfig-value';
      readonly name: string;
      /** As the configuration has it. */
      readonly value: string;
      /** The variable's type in words: `bool`, `4-byte signed integer`, … */
      readonly type: string;
      readonly reason: string;
    }
  /** A line of a configuration text that says `CONFIG_…` and no value. */
  | { readonly code: 'kconfig-line'; readonly line: string; readonly number: number }
  /** A strong extern that nothing gives a value or address. */
  | {
      readonly code: 'extern-missing';
      readonly name: string;
      readonly kind: 'kfunc' | 'ksym' | 'kconfig';
      readonly reason: string;
    }
  /** Several kernel symbols have the name of a variable without type. */
  | {
      readonly code: 'extern-ambiguous';
      readonly name: string;
      readonly addresses: readonly bigint[];
    }
  /** The kernel's function or variable has another type than the object declares. */
  | {
      readonly code: 'extern-type';
      readonly name: string;
      readonly kind: 'kfunc' | 'ksym';
      readonly expected: string;
      readonly found: string;
      /** Where it was found: `vmlinux` or a module. */
      readonly where: string;
    };

const kinds = {
  kfunc: 'kernel function',
  ksym: 'kernel symbol',
  kconfig: 'kernel configuration value',
} as const;

export const relocsExternsWords: Words<RelocsExternsErrorDetail> = {
  'kconfig-value': (d) =>
    `extern ${quoteName(d.name)}: the kernel configuration has ${quoteName(d.value)}, the variable is a ${d.type}: ${d.reason}`,
  'kconfig-line': (d) =>
    `kernel configuration, line ${d.number}: ${quoteName(d.line)} gives no value; write NAME=VALUE, or begin the line with #`,
  'extern-missing': (d) =>
    `extern ${kinds[d.kind]} ${quoteName(d.name)}: ${d.reason}; declare it __weak to load without it`,
  'extern-ambiguous': (d) =>
    `extern kernel symbol ${quoteName(d.name)}: several symbols of the kernel have the name, at ${d.addresses.map((address) => `0x${address.toString(16)}`).join(' and ')}`,
  'extern-type': (d) =>
    `extern ${kinds[d.kind]} ${quoteName(d.name)} is declared as ${escapeName(d.expected)}, but ${escapeName(d.where)} has ${escapeName(d.found)}`,
};
