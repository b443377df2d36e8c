import { decodeText } from '../bytes/text.ts';
import { BpfError, unreachable } from '../errors.ts';
import type { Btf } from './btf.ts';
import { resolveType, sizeOf, skipModifiers } from './graph.ts';
import type { BtfArray, BtfComposite, BtfInt, BtfMember, BtfType, TypeId } from './types.ts';

/**
 * A value of a C type as plain data. Integers are exact (`bigint`), structs are maps from
 * member names in declaration order (never plain objects: a member may be called `__proto__`).
 */
export type DataValue =
  | bigint
  | number
  | boolean
  | string
  | readonly DataValue[]
  | ReadonlyMap<string, DataValue>;

/** Where values are read from: bytes in the byte order of the program that wrote them. */
interface Source {
  readonly btf: Btf;
  readonly bytes: Uint8Array;
  /** Type of the whole value, for messages. */
  readonly root: TypeId;
  /** Parts that may still be decoded; see {@link partsPerByte}. */
  left: number;
  /** Types around the part that is being decoded. */
  depth: number;
}

/**
 * Most parts of a value, for each byte of it: real ones have a part for every few bits, and
 * some more for unions. Types can say otherwise (arrays of four thousand million empty
 * structs, unions that double at every level), and then decoding would have no end.
 */
const partsPerByte = 64;

/** Parts that any value may have, however small. */
const fewestParts = 4096;

/** Deepest nesting; a struct that contains itself ends here. */
const depthLimit = 128;

/**
 * Reads a value of type `id` from the start of `bytes`, by the rules by which bpftool
 * prints values: enumerators by name, `char` arrays that hold a string as that string,
 * pointers as numbers, bit fields by their bits. Types without a size are an error, as are
 * members outside of the value, structs that contain themselves and values of absurdly many
 * parts.
 */
export function decodeValue(btf: Btf, id: TypeId, bytes: Uint8Array): DataValue {
  const need = sizeOf(btf, id);
  if (bytes.length < need) {
    const section = `value of type ${btf.nameOf(id) || id}`;
    throw new BpfError({ code: 'truncated', section, offset: 0, need, have: bytes.length });
  }
  const left = Math.max(fewestParts, partsPerByte * need);
  return decodeAt({ btf, bytes, root: id, left, depth: 0 }, id, 0);
}

/** One part of the value; counts parts and nesting. */
function decodeAt(source: Source, id: TypeId, offset: number): DataValue {
  if (--source.left < 0) throw badValue(source, 'has too many parts to be decoded');
  if (++source.depth > depthLimit) {
    throw badValue(source, `is nested more than ${depthLimit} levels deep, or contains itself`);
  }
  const value = decodePart(source, id, offset);
  source.depth--;
  return value;
}

function badValue({ btf, root }: Source, problem: string): BpfError {
  return new BpfError({
    code: 'btf-value',
    btf: btf.name,
    id: root,
    name: btf.nameOf(root),
    problem,
  });
}

function decodePart(source: Source, id: TypeId, offset: number): DataValue {
  const { btf } = source;
  const resolved = resolveType(btf, id);
  const type = btf.type(resolved);
  switch (type.kind) {
    case 'int':
      return decodeInt(source, type, offset);
    case 'ptr':
      return readBits(source, offset * 8, btf.pointerSize * 8);
    case 'enum':
    case 'enum64':
      return enumerator(type, readBits(source, offset * 8, type.size * 8));
    case 'float':
      return decodeFloat(source, type.size, offset);
    case 'array':
      return decodeArray(source, type, offset);
    case 'struct':
    case 'union':
      return decodeComposite(source, type, offset);
    case 'var':
      return decodeAt(source, type.type, offset);
    case 'datasec':
      return new Map(
        type.vars.map((v) => [btf.nameOf(v.type), decodeAt(source, v.type, offset + v.offset)]),
      );
    case 'void':
    case 'fwd':
    case 'func':
    case 'func-proto':
    case 'decl-tag':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type-tag':
    case 'unknown':
      throw new BpfError({
        code: 'btf-no-size',
        btf: btf.name,
        id: resolved,
        kind: type.kind,
        name: btf.nameOf(resolved),
      });
    default:
      return unreachable(type, 'BTF kind');
  }
}

function decodeInt(source: Source, type: BtfInt, offset: number): DataValue {
  const raw = readBits(source, offset * 8 + type.bitOffset, type.bits);
  return asInt(type, raw, type.bits);
}

function asInt(type: BtfInt, raw: bigint, bits: number): DataValue {
  if (type.bool) return raw !== 0n;
  return type.signed ? BigInt.asIntN(bits, raw) : raw;
}

function enumerator(
  type: Extract<BtfType, { kind: 'enum' | 'enum64' }>,
  raw: bigint,
  bits = type.size * 8,
): DataValue {
  const value = type.signed ? BigInt.asIntN(bits, raw) : raw;
  return type.values.find((candidate) => candidate.value === value)?.name ?? value;
}

function decodeFloat(source: Source, size: number, offset: number): DataValue {
  const { bytes, btf } = source;
  checkBits(source, offset * 8, size * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 4) return view.getFloat32(offset, btf.littleEndian);
  if (size === 8) return view.getFloat64(offset, btf.littleEndian);
  return readBits(source, offset * 8, size * 8);
}

function decodeArray(source: Source, type: BtfArray, offset: number): DataValue {
  const { btf, bytes } = source;
  if (isCharArray(btf, type)) {
    const text = asString(bytes.subarray(offset, offset + type.length));
    if (text !== undefined) return text;
  }
  const size = sizeOf(btf, type.element);
  const values: DataValue[] = [];
  for (let i = 0; i < type.length; i++)
    values.push(decodeAt(source, type.element, offset + i * size));
  return values;
}

/** `char` itself, possibly const or volatile; a typedef of it is not text to bpftool either. */
function isCharArray(btf: Btf, type: BtfArray): boolean {
  const element = btf.type(skipModifiers(btf, type.element));
  return element.kind === 'int' && element.size === 1 && (element.char || element.name === 'char');
}

/** The text before the first zero byte if all of it is printable ASCII. */
function asString(bytes: Uint8Array): string | undefined {
  const end = bytes.indexOf(0);
  if (end < 0) return undefined;
  const text = bytes.subarray(0, end);
  return text.every((byte) => byte >= 0x20 && byte < 0x7f) ? decodeText(text) : undefined;
}

function decodeComposite(source: Source, type: BtfComposite, offset: number): DataValue {
  const out = new Map<string, DataValue>();
  for (const [index, member] of type.members.entries()) {
    const value = decodeMember(source, member, offset);
    if (value === undefined) continue;
    // Members of anonymous structs and unions belong to their parent, as in C.
    if (member.name === '' && value instanceof Map) for (const [k, v] of value) out.set(k, v);
    else out.set(member.name === '' ? `(anonymous ${index})` : member.name, value);
  }
  return out;
}

function decodeMember(source: Source, member: BtfMember, offset: number): DataValue | undefined {
  const { btf } = source;
  const at = offset * 8 + member.bitOffset;
  if (member.bitSize === 0) return decodeAt(source, member.type, at / 8);
  const raw = readBits(source, at, member.bitSize);
  const type = btf.type(resolveType(btf, member.type));
  if (type.kind === 'int') return asInt(type, raw, member.bitSize);
  if (type.kind === 'enum' || type.kind === 'enum64') return enumerator(type, raw, member.bitSize);
  return raw;
}

function checkBits(source: Source, offset: number, count: number): void {
  if (offset + count > source.bytes.length * 8)
    throw badValue(source, 'has a member outside of it');
}

/**
 * `count` bits from bit `offset`, unsigned. Bits are numbered as the compiler allocates
 * them: from the least significant bit of each byte on little-endian machines, from the
 * most significant one on big-endian machines.
 */
function readBits(source: Source, offset: number, count: number): bigint {
  const { bytes, btf } = source;
  checkBits(source, offset, count);
  const first = offset >> 3;
  const last = (offset + count + 7) >> 3;
  let value = 0n;
  if (btf.littleEndian) {
    for (let i = last - 1; i >= first; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    value >>= BigInt(offset & 7);
  } else {
    for (let i = first; i < last; i++) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    value >>= BigInt(last * 8 - offset - count);
  }
  return BigInt.asUintN(count, value);
}
