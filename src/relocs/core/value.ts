import { isComposite, isEnum, type TypeView } from '../../btf/compatible/view.ts';
import type { BtfMember, BtfType, TypeId } from '../../btf/types.ts';
import { BpfError, unreachable } from '../../errors.ts';
import { CORE_RELO } from '../../object/spec.ts';
import type { CoreSpec, CoreStep } from './access.ts';
import { coreKindRule } from './kinds.ts';
import { coreSizeOf } from './sizes.ts';

/** An access in one BTF. */
export interface PlacedSpec {
  readonly types: TypeView;
  readonly spec: CoreSpec;
}

/** What a relocation comes to for one candidate, or for none. */
export interface CoreValue {
  /** What the object's own types give, and clang wrote into the instruction; unsigned 64 bits. */
  readonly original: bigint;
  /** What the target's types give, unsigned 64 bits; undefined poisons the instruction. */
  readonly target: bigint | undefined;
  /** The instruction must hold `original`; false where clang or a linker may differ from us. */
  readonly validate: boolean;
  /** Size in bytes of the field in the object, for loads and stores; 0 where it does not matter. */
  readonly originalSize: number;
  /** Size in bytes of the field in the target. */
  readonly targetSize: number;
  /**
   * A load or store of the object's size would read a wrong value and cannot be made the
   * target's size: the sizes differ, and the fields are not both pointers or both unsigned.
   */
  readonly unfit: boolean;
}

/** The value in one BTF; `type` and `size` are those of the field, for loads and stores. */
interface Side {
  readonly value: bigint;
  readonly size: number;
  readonly type: BtfType | undefined;
  readonly validate: boolean;
}

/** `bpf_core_calc_relo`: the values of both sides; without a target only existence has one. */
export function computeValue(local: PlacedSpec, target: PlacedSpec | undefined): CoreValue {
  const { kind } = local.spec;
  const own = sideOf(local);
  const other = target === undefined ? sideOfNothing(kind) : sideOf(target);
  const targetSize = other?.size ?? 0;
  return {
    original: own.value,
    target: other?.value,
    validate: own.validate,
    originalSize: own.size,
    targetSize,
    unfit: other !== undefined && own.size !== targetSize && !resizable(own.type, other.type),
  };
}

/** The value of a local type id, which needs no target: the id itself, whatever the code holds. */
export function localTypeId(root: TypeId): CoreValue {
  const value = BigInt(root);
  return {
    original: value,
    target: value,
    validate: false,
    originalSize: 0,
    targetSize: 0,
    unfit: false,
  };
}

/** Pointers are zero-extended when read with 32 bits, unsigned integers too. */
function resizable(a: BtfType | undefined, b: BtfType | undefined): boolean {
  if (a?.kind === 'ptr') return b?.kind === 'ptr';
  return a?.kind === 'int' && b?.kind === 'int' && !plainSigned(a) && !plainSigned(b);
}

/** The encoding is signed and nothing else, as libbpf tests it. */
function plainSigned(type: BtfType & { readonly kind: 'int' }): boolean {
  return type.signed && !type.char && !type.bool;
}

/** The value where nothing in the target matches; undefined where there is none. */
function sideOfNothing(kind: number): Side | undefined {
  if (kind === CORE_RELO.FIELD_EXISTS || kind === CORE_RELO.ENUMVAL_EXISTS) return side(0);
  return coreKindRule(kind).subject === 'type' ? side(0) : undefined;
}

function side(value: number | bigint, validate = true): Side {
  return { value: BigInt.asUintN(64, BigInt(value)), size: 0, type: undefined, validate };
}

function sideOf(placed: PlacedSpec): Side {
  switch (coreKindRule(placed.spec.kind).subject) {
    case 'field':
      return fieldSide(placed);
    case 'type':
      return typeSide(placed);
    case 'enumerator':
      return enumeratorSide(placed);
  }
}

function typeSide({ types, spec }: PlacedSpec): Side {
  switch (spec.kind) {
    case CORE_RELO.TYPE_EXISTS:
    case CORE_RELO.TYPE_MATCHES:
      return side(1);
    case CORE_RELO.TYPE_SIZE:
      return side(coreSizeOf(types, spec.root));
    default:
      // A linker may have changed the id that the instruction holds.
      return side(spec.root, false);
  }
}

function enumeratorSide({ types, spec }: PlacedSpec): Side {
  if (spec.kind === CORE_RELO.ENUMVAL_EXISTS) return side(1);
  const step = spec.steps[0];
  const type = step === undefined ? undefined : types.type(step.type);
  if (step === undefined || type === undefined || !isEnum(type)) {
    throw new Error('the step of an enumerator leads to an enum');
  }
  const value = type.values[step.index]?.value ?? 0n;
  // libbpf reads the values of 32-bit enums as signed, also those of unsigned enums.
  return side(type.kind === 'enum' ? BigInt.asIntN(32, value) : value);
}

function fieldSide(placed: PlacedSpec): Side {
  if (placed.spec.kind === CORE_RELO.FIELD_EXISTS) return side(1);
  const step = placed.spec.steps.at(-1);
  if (step === undefined) throw new Error('a field access has at least one step');
  const member = memberAt(placed.types, step);
  return member === undefined ? elementSide(placed, step) : memberSide(placed, step, member);
}

function memberAt(types: TypeView, step: CoreStep): BtfMember | undefined {
  if (step.name === undefined) return undefined;
  const holder = types.type(step.type);
  return isComposite(holder) ? holder.members[step.index] : undefined;
}

function elementSide({ types, spec }: PlacedSpec, step: CoreStep): Side {
  const size = coreSizeOf(types, step.type);
  if (spec.kind === CORE_RELO.FIELD_BYTE_SIZE) return side(size);
  if (spec.kind !== CORE_RELO.FIELD_BYTE_OFFSET) {
    const kind = coreKindRule(spec.kind).words;
    const access = `${types.words(spec.root)} + ${spec.indices.join(':')}`;
    throw new BpfError({ code: 'core-array-element', kind, access });
  }
  return { ...side(spec.bitOffset >>> 3), size, type: types.type(step.type) };
}

function memberSide(placed: PlacedSpec, step: CoreStep, member: BtfMember): Side {
  const { types, spec } = placed;
  const type = types.resolved(member.type);
  const bitField = member.bitSize > 0;
  const place = placeOf(placed, step);
  switch (spec.kind) {
    case CORE_RELO.FIELD_BYTE_OFFSET:
      if (bitField) return side(place.byteOffset, false);
      return { ...side(place.byteOffset), size: place.byteSize, type };
    case CORE_RELO.FIELD_BYTE_SIZE:
      return side(place.byteSize, !bitField);
    case CORE_RELO.FIELD_SIGNED:
      return side((isEnum(type) || type.kind === 'int') && type.signed ? 1 : 0);
    case CORE_RELO.FIELD_LSHIFT_U64:
      return side(leftShift(place, types.btf.littleEndian), !bitField);
    case CORE_RELO.FIELD_RSHIFT_U64:
      return side((64 - place.bitSize) >>> 0);
    case CORE_RELO.FIELD_EXISTS:
      return side(1);
    case CORE_RELO.TYPE_ID_LOCAL:
    case CORE_RELO.TYPE_ID_TARGET:
    case CORE_RELO.TYPE_EXISTS:
    case CORE_RELO.TYPE_SIZE:
    case CORE_RELO.TYPE_MATCHES:
    case CORE_RELO.ENUMVAL_EXISTS:
    case CORE_RELO.ENUMVAL_VALUE:
      throw new Error(`a field access of kind ${spec.kind}`);
    default:
      return unreachable(spec.kind, 'CO-RE kind');
  }
}

/** Where a field is: the aligned bytes that a load reads, and the field's bits in the root. */
export interface FieldPlace {
  /** Of the load, from the start of the root. */
  readonly byteOffset: number;
  /** Of the load: for a bit field 1, 2, 4 or 8 bytes that hold all of it. */
  readonly byteSize: number;
  /** From the start of the root. */
  readonly bitOffset: number;
  readonly bitSize: number;
  readonly bitField: boolean;
}

/** The place of the field that `step`, the last one of a spec, leads to. */
export function placeOf(placed: PlacedSpec, step: CoreStep): FieldPlace {
  const { types, spec } = placed;
  const { bitOffset } = spec;
  const member = memberAt(types, step);
  if (member !== undefined && member.bitSize > 0) return bitFieldPlace(placed, member);
  const byteSize = coreSizeOf(types, member === undefined ? step.type : types.resolve(member.type));
  const byteOffset = bitOffset >>> 3;
  return { byteOffset, byteSize, bitOffset, bitSize: byteSize * 8, bitField: false };
}

/**
 * The smallest aligned load that covers a bit field, beginning with the size of its declared
 * type and doubling it.
 */
function bitFieldPlace({ types, spec }: PlacedSpec, member: BtfMember): FieldPlace {
  const { bitOffset } = spec;
  const { bitSize } = member;
  const uncovered = (): BpfError =>
    new BpfError({
      code: 'core-bit-field',
      btf: types.btf.name,
      field: member.name,
      bitOffset,
      bitSize,
    });
  const type = types.resolved(member.type);
  let byteSize = 'size' in type ? type.size : 0;
  if (byteSize === 0) throw uncovered();
  for (;;) {
    const byteOffset = Math.floor(bitOffset / 8 / byteSize) * byteSize;
    if (bitOffset + bitSize - byteOffset * 8 <= byteSize * 8) {
      return { byteOffset, byteSize, bitOffset, bitSize, bitField: true };
    }
    if (byteSize >= 8) throw uncovered();
    byteSize *= 2;
  }
}

/**
 * How far a field, loaded and zero-extended to 64 bits, is shifted left so that its highest
 * bit becomes the highest of the register. Bits count from the lowest on little-endian
 * machines and from the highest on big-endian ones.
 */
function leftShift(place: FieldPlace, littleEndian: boolean): number {
  const { byteOffset, byteSize, bitOffset, bitSize } = place;
  const bit = bitOffset - byteOffset * 8;
  return (littleEndian ? 64 - (bit + bitSize) : (8 - byteSize) * 8 + bit) >>> 0;
}
