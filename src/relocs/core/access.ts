import { isComposite, isEnum, type TypeView } from '../../btf/compatible/view.ts';
import type { BtfArray, BtfComposite, BtfType, TypeId } from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';
import type { CoreRelocation, CoreReloKind } from '../../object/spec.ts';
import { coreKindRule } from './kinds.ts';
import { coreMaxDepth, coreSizeOf } from './sizes.ts';

/**
 * One step of an access that means something in C: a named member, an array element, or an
 * enumerator. Members without a name are passed through and leave no step.
 */
export interface CoreStep {
  /** The composite, array element or enum; typedefs and qualifiers are looked through. */
  readonly type: TypeId;
  /** Index of the member, element or enumerator. */
  readonly index: number;
  /** Name of the member or enumerator; undefined for an array element. */
  readonly name: string | undefined;
}

/**
 * What a relocation is about, in one BTF. For `&sample->a[3]` with
 * `struct sample { int x; struct { int y; int a[7]; }; }`:
 *
 * ```
 *   access    0        :  1         : 1      : 3       (indices)
 *   steps     [0]                     a        [3]
 * ```
 * The first index counts whole structs, as in `sample[0]`. Specs of types have neither
 * indices nor steps; those of enumerators have one of each.
 */
export interface CoreSpec {
  readonly kind: CoreReloKind;
  /** The type that the object names; typedefs are kept. */
  readonly root: TypeId;
  readonly indices: readonly number[];
  readonly steps: readonly CoreStep[];
  /** Of the field from the start of the root, in bits, modulo 2³² as libbpf counts. */
  readonly bitOffset: number;
}

/**
 * Reads a relocation of an object against the object's own types (`bpf_core_parse_spec`).
 * An access string that is malformed, does not fit the type or is deeper than 64 levels is
 * an error.
 */
export function parseAccess(types: TypeView, relocation: CoreRelocation): CoreSpec {
  const { kind, type: root, access } = relocation;
  const { subject } = coreKindRule(kind);
  if (subject === 'type') {
    if (access !== '0') throw misfit(types, relocation, 'a type is accessed by 0');
    return { kind, root, indices: [], steps: [], bitOffset: 0 };
  }
  const indices = parseIndices(types, relocation);
  if (subject === 'enumerator') return parseEnumerator(types, relocation, indices);
  return new FieldAccess(types, relocation, indices).spec();
}

/** One number as `scanf` reads it: white space and a sign may come first. */
const scanned = /[ \t\n\v\f\r]*([+-]?[0-9]+)/y;

function parseIndices(types: TypeView, relocation: CoreRelocation): number[] {
  const { access } = relocation;
  if (access === '' || access.startsWith(':')) {
    throw misfit(types, relocation, 'it must begin with a number');
  }
  const indices: number[] = [];
  let at = 0;
  while (at < access.length) {
    scanned.lastIndex = access[at] === ':' ? at + 1 : at;
    const digits = scanned.exec(access)?.[1];
    if (digits === undefined) throw misfit(types, relocation, 'it must be numbers between colons');
    if (indices.length === coreMaxDepth) throw tooDeep(types, relocation.type);
    indices.push(toInt(digits));
    at = scanned.lastIndex;
  }
  return indices;
}

/** `%d` of C: read as a 64-bit number, clamped, then cut to 32 bits. */
function toInt(digits: string): number {
  if (digits.length < 10) return Number(digits);
  const value = digits.length > 40 ? Number(digits) : BigInt(digits.replace(/^\+/, ''));
  if (value > 0x7fff_ffff_ffff_ffffn) return -1;
  if (value < -0x8000_0000_0000_0000n) return 0;
  return Number(BigInt.asIntN(32, BigInt(value)));
}

function parseEnumerator(
  types: TypeView,
  relocation: CoreRelocation,
  indices: readonly number[],
): CoreSpec {
  const { kind, type: root } = relocation;
  const id = types.resolve(root);
  const type = types.type(id);
  if (!isEnum(type)) throw misfit(types, relocation, 'the type is no enum');
  const index = indices[0] as number;
  const enumerator = type.values[index];
  if (enumerator === undefined || indices.length > 1) {
    throw misfit(types, relocation, `the enum has ${type.values.length} enumerators`);
  }
  const step = { type: id, index, name: enumerator.name };
  return { kind, root, indices, steps: [step], bitOffset: 0 };
}

/** Walks the indices of a field access through the object's types. */
class FieldAccess {
  readonly #types: TypeView;
  readonly #relocation: CoreRelocation;
  readonly #indices: readonly number[];
  readonly #steps: CoreStep[] = [];
  #at: TypeId;
  #bitOffset: number;

  constructor(types: TypeView, relocation: CoreRelocation, indices: readonly number[]) {
    this.#types = types;
    this.#relocation = relocation;
    this.#indices = indices;
    this.#at = types.resolve(relocation.type);
    const index = indices[0] as number;
    this.#steps.push({ type: this.#at, index, name: undefined });
    this.#bitOffset = elementBits(index, coreSizeOf(types, this.#at));
  }

  spec(): CoreSpec {
    for (let level = 1; level < this.#indices.length; level++) {
      this.#descend(this.#indices[level] as number);
    }
    const { kind, type: root } = this.#relocation;
    const bitOffset = this.#bitOffset >>> 0;
    return { kind, root, indices: this.#indices, steps: this.#steps, bitOffset };
  }

  #descend(index: number): void {
    const type = this.#types.resolved(this.#at);
    if (isComposite(type)) this.#member(type, index);
    else if (type.kind === 'array') this.#element(type, index);
    else throw this.#misfit(`${this.#types.words(type.id)} has no members`);
  }

  #member(type: BtfComposite, index: number): void {
    const member = type.members[index];
    if (member === undefined) {
      const words = this.#types.words(type.id);
      throw this.#misfit(`${words} has ${type.members.length} members, not a member ${index}`);
    }
    this.#bitOffset = (this.#bitOffset + member.bitOffset) >>> 0;
    if (member.name !== '') this.#steps.push({ type: type.id, index, name: member.name });
    this.#at = member.type;
  }

  #element(type: BtfArray, index: number): void {
    const outer = this.#steps.at(-1);
    if (!withinArray(this.#types, type, outer, index)) {
      throw this.#misfit(`the array has ${type.length} elements, not an element ${index}`);
    }
    this.#at = this.#types.resolve(type.element);
    this.#steps.push({ type: this.#at, index, name: undefined });
    const bits = elementBits(index, coreSizeOf(this.#types, this.#at));
    this.#bitOffset = (this.#bitOffset + bits) >>> 0;
  }

  #misfit(why: string): BpfError {
    return misfit(this.#types, this.#relocation, why);
  }
}

/**
 * Whether an array has an element `index`. A flexible array has any: it has no elements and is
 * the last member of its struct, which `outer`, the step that led to it, tells.
 */
export function withinArray(
  types: TypeView,
  array: BtfArray,
  outer: CoreStep | undefined,
  index: number,
): boolean {
  if (array.length > 0) return index >>> 0 < array.length;
  return outer?.name !== undefined && isLastMember(types.type(outer.type), outer.index);
}

function isLastMember(type: BtfType, index: number): boolean {
  return isComposite(type) && index === type.members.length - 1;
}

/** Offset of an array element in bits, modulo 2³². */
export function elementBits(index: number, size: number): number {
  return Math.imul(index, Math.imul(size, 8)) >>> 0;
}

function misfit(types: TypeView, relocation: CoreRelocation, why: string): BpfError {
  const { access, type } = relocation;
  return new BpfError({ code: 'core-access', access, type: types.words(type), why });
}

/** The error for more than 64 levels. */
export function tooDeep(types: TypeView, id: TypeId): BpfError {
  return new BpfError({ code: 'core-too-deep', type: types.words(id), limit: coreMaxDepth });
}
