import { OP } from '../engine/operations.ts';

/** The register that an operation writes: its `dst`, its `src`, r0 or none. */
export type Written = 'dst' | 'src' | 'r0' | 'none';

function written(op: number): Written {
  if (op <= OP.loadSigned32) return 'dst';
  if (op >= OP.sdiv64Imm && op <= OP.smod32Reg) return 'dst';
  if (op >= OP.loadBe16 && op <= OP.loadSignedBe32) return 'dst';
  if (op >= OP.loadPacket && op <= OP.callReg) return 'r0';
  if (op === OP.atomicCompareExchange32 || op === OP.atomicCompareExchange64) return 'r0';
  return fetching.has(op) ? 'src' : 'none';
}

const fetching: ReadonlySet<number> = new Set([
  OP.atomicFetchAdd64,
  OP.atomicFetchAdd32,
  OP.atomicFetchOr64,
  OP.atomicFetchOr32,
  OP.atomicFetchAnd64,
  OP.atomicFetchAnd32,
  OP.atomicFetchXor64,
  OP.atomicFetchXor32,
  OP.atomicExchange64,
  OP.atomicExchange32,
]);

/** By operation. */
export const writtenBy: readonly Written[] = Array.from({ length: OP.trap + 1 }, (_, op) =>
  written(op),
);

/** True for the twenty atomic operations. */
export function isAtomic(op: number): boolean {
  return op >= OP.atomicAdd64 && op <= OP.atomicCompareExchange32;
}
