import { OP, wordDst, wordSrc } from '../engine/operations.ts';

import type { MapPlan } from './map-plans.ts';

/** Memory that a program can use for as long as it is loaded: the values of a map. */
export interface Area {
  /** Offset in VM memory; undefined for an element of which only the size is known. */
  readonly start: number | undefined;
  /** In bytes. */
  readonly size: number;
  readonly readOnly: boolean;
}

/** An address between `low` and `high` bytes (both included) from the start of an area, or from r10. */
export interface Pointer {
  readonly kind: 'pointer';
  readonly area: Area | 'stack';
  readonly low: number;
  readonly high: number;
  /** It may be NULL instead. */
  readonly nullable?: boolean;
}

/**
 * An address in the packet: `offset` bytes from a base that all pointers with the same `id`
 * share and that is not before the packet. The `range` bytes from the base are in the packet.
 */
export interface PacketPointer {
  readonly kind: 'packet';
  readonly id: number;
  readonly offset: number;
  readonly range: number;
}

/**
 * What is known of a register's value. `number` is unsigned and at most `most` (where paths
 * meet, `joins` counts how often that grew); `context` is
 * the address of a byte of the context; `packet-end` that of the first byte behind the
 * packet; `map` is a map itself. Undefined where nothing is known.
 */
export type Value =
  | { readonly kind: 'constant'; readonly value: bigint }
  | { readonly kind: 'number'; readonly most: number; readonly joins?: number }
  | { readonly kind: 'context'; readonly offset: number }
  | { readonly kind: 'packet-end' }
  | { readonly kind: 'map'; readonly map: MapPlan }
  | Pointer
  | PacketPointer
  | undefined;

/** Id of pointers to the start of the packet. */
export const dataId = Number.MIN_SAFE_INTEGER;

/** Numbers above are not followed. */
const largest = 2 ** 40;

/** Most that is added to a packet pointer without forgetting it, as in the kernel's verifier. */
const largestPacketOffset = 0xffff;

const word = 0xffff_ffff;

export function numberUpTo(most: number): Value {
  return most >= 0 && most <= largest ? { kind: 'number', most } : undefined;
}

function constant(value: bigint): Value {
  return { kind: 'constant', value: BigInt.asUintN(64, value) };
}

/** The most that a value can be as an unsigned number; undefined where that is too much. */
export function mostOf(value: Value): number | undefined {
  if (value?.kind === 'number') return value.most;
  if (value?.kind !== 'constant') return undefined;
  return value.value <= BigInt(largest) ? Number(value.value) : undefined;
}

/** What is known where two paths meet; `id` is that of a packet pointer which first comes to be there. */
export function meet(a: Value, b: Value, id: number): Value {
  if (a === b || a === undefined || b === undefined) return a === b ? a : undefined;
  if (a.kind === 'packet' && b.kind === 'packet') return meetPackets(a, b, id);
  return sameValue(a, b) ? a : meetNumbers(a, b);
}

/** Times that a number may grow where paths meet before nothing is known of it any more. */
const mostJoins = 4;

function meetNumbers(a: Value, b: Value): Value {
  const [before, other] = [mostOf(a), mostOf(b)];
  if (before === undefined || other === undefined) return undefined;
  if (a?.kind === 'number' && other <= before) return a;
  const joins = (a?.kind === 'number' ? (a.joins ?? 0) : 0) + 1;
  if (joins > mostJoins) return undefined;
  return { kind: 'number', most: Math.max(before, other), joins };
}

function meetPackets(a: PacketPointer, b: PacketPointer, id: number): Value {
  if (a.id === b.id && a.offset === b.offset) return a.range <= b.range ? a : b;
  if (a.offset < 0 || b.offset < 0) return undefined;
  if (a.id === id && a.offset === 0) return a.range === 0 ? a : { ...a, range: 0 };
  return { kind: 'packet', id, offset: 0, range: 0 };
}

function sameValue(a: Value, b: Value): boolean {
  if (a === undefined || b === undefined || a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'constant':
      return b.kind === 'constant' && a.value === b.value;
    case 'number':
      return b.kind === 'number' && a.most === b.most;
    case 'context':
      return b.kind === 'context' && a.offset === b.offset;
    case 'packet-end':
      return true;
    case 'map':
      return b.kind === 'map' && a.map === b.map;
    case 'pointer':
      return (
        b.kind === 'pointer' &&
        a.area === b.area &&
        a.low === b.low &&
        a.high === b.high &&
        a.nullable === b.nullable
      );
    case 'packet':
      return b.kind === 'packet' && a.id === b.id && a.offset === b.offset && a.range === b.range;
  }
}

/** A pointer moved by between `low` and `high` bytes. */
function moved(pointer: Pointer, low: number, high: number): Value {
  if (pointer.nullable === true) return undefined;
  const to = { ...pointer, low: pointer.low + low, high: pointer.high + high };
  return Math.abs(to.low) <= largest && to.high <= largest ? to : undefined;
}

function movedPacket(pointer: PacketPointer, by: Value, id: number): Value {
  if (by?.kind === 'constant') {
    const offset = pointer.offset + Number(BigInt.asIntN(64, by.value));
    return Math.abs(offset) <= largestPacketOffset ? { ...pointer, offset } : undefined;
  }
  const most = mostOf(by);
  // From the start of the packet itself anything may be added once without wrapping around.
  const limit = pointer.id === dataId ? word : largestPacketOffset;
  if (most === undefined || most > limit || pointer.offset < 0) return undefined;
  return { kind: 'packet', id, offset: 0, range: 0 };
}

const isAddress = (value: Value): boolean =>
  value?.kind === 'pointer' || value?.kind === 'packet' || value?.kind === 'context';

function sum(a: Value, b: Value, id: number): Value {
  if (isAddress(b)) return isAddress(a) ? undefined : sum(b, a, id);
  if (b?.kind === 'constant') {
    const by = Number(BigInt.asIntN(64, b.value));
    if (a?.kind === 'constant') return constant(a.value + b.value);
    if (a?.kind === 'pointer') return moved(a, by, by);
    if (a?.kind === 'context') return { kind: 'context', offset: a.offset + by };
  }
  if (a?.kind === 'packet') return movedPacket(a, b, id);
  const most = [mostOf(a), mostOf(b)];
  if (a?.kind === 'pointer') return most[1] === undefined ? undefined : moved(a, 0, most[1]);
  return numberUpTo((most[0] ?? Number.NaN) + (most[1] ?? Number.NaN));
}

/** The row's columns, for {@link resultOf}. */
export interface RowFields {
  readonly row: number;
  readonly packed: number;
  readonly imm: number;
  readonly imm64: bigint;
}

/** The destination's value after an arithmetic row or a load. */
export function resultOf(op: number, fields: RowFields, registers: readonly Value[]): Value {
  const { packed, imm, imm64 } = fields;
  const dst = registers[wordDst(packed)];
  const src = registers[wordSrc(packed)];
  // Packet pointers that a row makes are told apart by it; those of merges have positive ids.
  const id = ~fields.row;
  switch (op) {
    case OP.mov64Imm:
      return constant(imm64);
    case OP.mov64Reg:
      return src;
    case OP.mov32Reg:
      return numberUpTo(Math.min(mostOf(src) ?? word, word));
    case OP.add64Imm:
      return sum(dst, constant(imm64), id);
    case OP.add64Reg:
      return sum(dst, src, id);
    case OP.sub64Reg:
      return difference(dst, src);
    case OP.and64Imm:
      return imm64 < 0n ? numberUpTo(mostOf(dst) ?? -1) : lower(dst, imm64);
    case OP.and64Reg:
      return numberUpTo(Math.min(mostOf(dst) ?? Infinity, mostOf(src) ?? Infinity));
    case OP.lsh64Imm:
      return numberUpTo((mostOf(dst) ?? Number.NaN) * 2 ** imm);
    case OP.lsh32Imm:
      return numberUpTo(Math.min((mostOf(dst) ?? Infinity) * 2 ** imm, word));
    case OP.rsh64Imm:
      return numberUpTo(Math.floor((mostOf(dst) ?? 2 ** 64 - 1) / 2 ** imm));
    case OP.rsh32Imm:
      return numberUpTo(word >>> imm);
    case OP.mul64Imm:
      return imm64 < 0n ? undefined : numberUpTo((mostOf(dst) ?? Number.NaN) * Number(imm64));
    case OP.mod64Imm:
      return imm64 <= 0n ? undefined : lower(undefined, imm64 - 1n);
    case OP.mod32Imm:
      return imm <= 0 ? numberUpTo(word) : numberUpTo(imm - 1);
    case OP.load8:
      return numberUpTo(0xff);
    case OP.load16:
    case OP.loadBe16:
    case OP.swap16:
      return numberUpTo(0xffff);
    default:
      return narrowOps.has(op) ? numberUpTo(word) : undefined;
  }
}

/** A constant less a number that is not above it. */
function difference(a: Value, b: Value): Value {
  const [most, less] = [a?.kind === 'constant' ? mostOf(a) : undefined, mostOf(b)];
  return most !== undefined && less !== undefined && less <= most ? numberUpTo(most) : undefined;
}

function lower(value: Value, most: bigint): Value {
  const limit = most <= BigInt(largest) ? Number(most) : Infinity;
  return numberUpTo(Math.min(mostOf(value) ?? Infinity, limit));
}

/** Operations whose result has 32 bits. A load of 4 bytes is none: fields of contexts have 64. */
const narrowOps: ReadonlySet<number> = new Set([
  OP.add32Imm,
  OP.add32Reg,
  OP.mul32Imm,
  OP.mul32Reg,
  OP.or32Imm,
  OP.or32Reg,
  OP.xor32Imm,
  OP.xor32Reg,
  OP.and32Reg,
  OP.sub32Reg,
  OP.lsh32Reg,
  OP.rsh32Reg,
  OP.arsh32Imm,
  OP.arsh32Reg,
  OP.div32Imm,
  OP.div32Reg,
  OP.mod32Reg,
  OP.neg32,
  OP.swap32,
  OP.loadBe32,
]);
