import type { Btf } from '../btf/btf.ts';
import { resolveType, sizeOf } from '../btf/graph.ts';
import type { BtfMember, TypeId } from '../btf/types.ts';
import { BpfError } from '../errors.ts';

/** A place in a kernel object. */
export interface ObjectPlace {
  /** Type with typedefs and qualifiers taken off. */
  readonly type: TypeId;
  /** From the start of the object, in bits. */
  readonly bitOffset: number;
  /** Width in bits of a bit field, 0 for anything else. */
  readonly bitSize: number;
}

/** Structs without a name in one another. */
const maxDepth = 16;

/** Parts of a path: a name, or an index in brackets. */
const stepPattern = /[^.[\]]+|\[\d+\]/g;

/** The error for a description that does not fit the types. */
export function objectError(type: string, path: string, reason: string): BpfError {
  return new BpfError({ code: 'vm-object', type, path, reason });
}

/**
 * The place that a path names: member names joined by dots, with `[index]` for array
 * elements, as in `signal.rlim[3].rlim_cur`. Members of nameless structs and unions are
 * named directly, as in C.
 */
export function findPlace(btf: Btf, root: TypeId, path: string): ObjectPlace {
  const name = btf.nameOf(root);
  const steps = path.match(stepPattern) ?? [];
  if (steps.length === 0 || steps.join('').length !== path.replaceAll('.', '').length) {
    throw objectError(name, path, 'write a path as in signal.rlim[3].rlim_cur');
  }
  let place: ObjectPlace = { type: resolveType(btf, root), bitOffset: 0, bitSize: 0 };
  for (const step of steps) {
    const next = placeStep(btf, place, step);
    if (next === undefined) throw objectError(name, path, `there is no ${step}`);
    place = next;
  }
  return place;
}

/** Whether {@link findPlace} finds something. */
export function hasPlace(btf: Btf, root: TypeId, path: string): boolean {
  let place: ObjectPlace | undefined = { type: resolveType(btf, root), bitOffset: 0, bitSize: 0 };
  for (const step of path.match(stepPattern) ?? []) {
    place = place && placeStep(btf, place, step);
  }
  return place !== undefined;
}

function placeStep(btf: Btf, place: ObjectPlace, step: string): ObjectPlace | undefined {
  return step.startsWith('[')
    ? elementPlace(btf, place, Number(step.slice(1, -1)))
    : memberPlace(btf, place, step);
}

/** Place of an array element; undefined beyond the array, and where it is none. */
export function elementPlace(btf: Btf, at: ObjectPlace, index: number): ObjectPlace | undefined {
  const type = btf.type(at.type);
  if (type.kind !== 'array' || index >= type.length) return undefined;
  const bitOffset = at.bitOffset + index * sizeOf(btf, type.element) * 8;
  return { type: resolveType(btf, type.element), bitOffset, bitSize: 0 };
}

/** Place of a member, also of one in nameless structs and unions; undefined where there is none. */
export function memberPlace(
  btf: Btf,
  at: ObjectPlace,
  name: string,
  depth = 0,
): ObjectPlace | undefined {
  const type = btf.type(at.type);
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > maxDepth) return undefined;
  for (const member of type.members) {
    const place = placeOf(btf, at, member);
    if (member.name === name) return place;
    const inside = member.name === '' ? memberPlace(btf, place, name, depth + 1) : undefined;
    if (inside !== undefined) return inside;
  }
  return undefined;
}

function placeOf(btf: Btf, at: ObjectPlace, member: BtfMember): ObjectPlace {
  return {
    type: resolveType(btf, member.type),
    bitOffset: at.bitOffset + member.bitOffset,
    bitSize: member.bitSize,
  };
}

/**
 * The `bits` bits at `bitOffset`, as C reads a bit field in the target's byte order; unsigned.
 * Whole bytes go fast: nearly all members are.
 */
export function readBits(
  bytes: Uint8Array,
  bitOffset: number,
  bits: number,
  littleEndian: boolean,
): bigint {
  const step = (bitOffset | bits) % 8 === 0 ? 8 : 1;
  const mask = (1 << step) - 1;
  let value = 0n;
  for (let i = 0; i < bits; i += step) {
    const at = bitOffset + i;
    const part = ((bytes[at >>> 3] as number) >>> shiftOf(at, step, littleEndian)) & mask;
    value |= BigInt(part) << BigInt(littleEndian ? i : bits - step - i);
  }
  return value;
}

/** The inverse of {@link readBits}; bits around are kept. */
export function writeBits(
  bytes: Uint8Array,
  bitOffset: number,
  bits: number,
  littleEndian: boolean,
  value: bigint,
): void {
  const step = (bitOffset | bits) % 8 === 0 ? 8 : 1;
  const mask = (1 << step) - 1;
  for (let i = 0; i < bits; i += step) {
    const at = bitOffset + i;
    const part = Number((value >> BigInt(littleEndian ? i : bits - step - i)) & BigInt(mask));
    const shift = shiftOf(at, step, littleEndian);
    bytes[at >>> 3] = ((bytes[at >>> 3] as number) & ~(mask << shift)) | (part << shift);
  }
}

/** Place in its byte of the bits at `at`. */
function shiftOf(at: number, step: number, littleEndian: boolean): number {
  return littleEndian ? at & 7 : 8 - step - (at & 7);
}
