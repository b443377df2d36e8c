import { quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of making a struct_ops map, or the data of an arena, fit the target. */
export type RelocsStructOpsErrorDetail =
  /** The target has no such struct of callbacks. */
  | {
      readonly code: 'struct-ops-unknown';
      readonly struct: string;
      /** Name that was looked for: `tcp_congestion_ops` or `bpf_struct_ops_tcp_congestion_ops`. */
      readonly wanted: string;
    }
  /** A member that the object fills does not fit the target's. */
  | {
      readonly code: 'struct-ops-member';
      readonly struct: string;
      readonly member: string;
      readonly reason: string;
    }
  /** A program stands in two places that the kernel verifies differently. */
  | { readonly code: 'struct-ops-program'; readonly program: string; readonly reason: string }
  /** The object's variables in an arena need more room than it has. */
  | { readonly code: 'arena-too-small'; readonly size: number; readonly need: number };

export const relocsStructOpsWords: Words<RelocsStructOpsErrorDetail> = {
  'struct-ops-unknown': (d) =>
    `struct ${quoteName(d.struct)} is no struct of callbacks on the target: it has no ${quoteName(d.wanted)}`,
  'struct-ops-member': (d) =>
    `struct ${quoteName(d.struct)}, member ${quoteName(d.member)}: ${d.reason}`,
  'struct-ops-program': (d) => `program ${quoteName(d.program)}: ${d.reason}`,
  'arena-too-small': (d) =>
    `the arena has ${d.size} bytes, its variables need ${d.need}; raise max_entries (in pages)`,
};
