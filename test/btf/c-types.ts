// Random types that C can express, as several source files would have them: names are
// unique, so that it is known which types of two files are the same.
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfMember, type NewBtfType } from '../../src/btf/encode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import type { Random } from '../fuzz/random.ts';

/** A type whose references are places in {@link CTypes.types}, with its size and alignment. */
interface CType {
  readonly type: NewBtfType;
  /** In bytes; 0 for what has none, and for arrays that end a struct. */
  readonly size: number;
  readonly align: number;
  /** Widest bit field of it; 0 for what cannot be one. */
  readonly bits: number;
}

const integers: readonly (readonly [name: string, size: number, signed: boolean])[] = [
  ['int', 4, true],
  ['char', 1, true],
  ['unsigned char', 1, false],
  ['short', 2, true],
  ['unsigned short', 2, false],
  ['unsigned int', 4, false],
  ['long', 8, true],
  ['unsigned long', 8, false],
  ['__int128', 16, true],
];

/** The place of `int`: `void *` is the first. */
const intId = 2;

/** The alignment of BPF: nothing is aligned to more. */
const greatestAlign = 16;

/** Types in C's order: what has others inside comes after them, pointers lead anywhere. */
export class CTypes {
  readonly types: CType[] = [];
  readonly #random: Random;
  readonly #known = new Map<string, number>();
  /** Places of those that members can be of. */
  readonly #sized: number[] = [];
  /** Places of named structs and unions. */
  readonly #tags: number[] = [];
  readonly #prototypes: number[] = [];
  /** Places of those that are members without a name: twice, their members would clash. */
  readonly #inlined = new Set<number>();
  /** Pointers to a struct that comes later. */
  readonly #later: number[] = [];
  #closing = false;
  #names = 0;

  /** `void` and the integers, then so many types, and what they lead to. */
  constructor(random: Random, count: number) {
    this.#random = random;
    this.#add({ type: { kind: 'ptr', target: 0 as TypeId }, size: 8, align: 8, bits: 0 });
    for (const [name, size, signed] of integers) {
      const bits = size > 8 ? 0 : 8 * size;
      this.#add({ type: { kind: 'int', name, size, signed }, size, align: size, bits });
    }
    this.#add({
      type: { kind: 'int', name: '_Bool', size: 1, bool: true },
      size: 1,
      align: 1,
      bits: 1,
    });
    this.#add({ type: { kind: 'float', name: 'double', size: 8 }, size: 8, align: 8, bits: 0 });
    for (let i = 0; i < count; i++) this.#addRandom();
    this.#closing = true;
    while (this.#later.length > 0) this.#addComposite(true);
  }

  #add(type: CType): number {
    const at = this.types.push(type);
    if (type.size > 0) this.#sized.push(at);
    return at;
  }

  /** One type for each pair of kind and target: compilers write it once in a file. */
  #once(type: NewBtfType, size: number, align: number): number {
    const key = JSON.stringify(type);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const at = this.#add({ type, size, align, bits: 0 });
    this.#known.set(key, at);
    return at;
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  #at(id: number): CType {
    return this.types[id - 1] as CType;
  }

  #addRandom(): void {
    const random = this.#random;
    const kind = random.below(16);
    if (kind < 7) this.#addComposite(!random.once(3));
    else if (kind < 9) this.#addPointer();
    else if (kind === 9) this.#addArray(random.pick(this.#sized), 1 + random.below(4));
    else if (kind === 10) this.#addTypedef();
    else if (kind === 11) this.#addQualifier();
    else if (kind === 12) this.#addEnum();
    else if (kind < 15) this.#addPrototype();
    else this.#addDeclared();
  }

  #pointer(target: number): number {
    return this.#once({ kind: 'ptr', target: target as TypeId }, 8, 8);
  }

  #addPointer(): number {
    const random = this.#random;
    if (random.once(2) && this.#tags.length > 0) return this.#pointer(random.pick(this.#tags));
    if (random.once(2) && this.#prototypes.length > 0) {
      return this.#pointer(random.pick(this.#prototypes));
    }
    return this.#pointer(random.pick(this.#sized));
  }

  #addArray(element: number, length: number): number {
    const { size, align } = this.#at(element);
    const type: NewBtfType = {
      kind: 'array',
      element: element as TypeId,
      index: intId as TypeId,
      length,
    };
    return this.#once(type, size * length, align);
  }

  #addTypedef(): void {
    const target = this.#random.pick(this.#sized);
    const { size, align, bits } = this.#at(target);
    const name = this.#name('t');
    this.#add({ type: { kind: 'typedef', name, target: target as TypeId }, size, align, bits });
  }

  /** Not of arrays and qualified types: the compiler puts qualifiers elsewhere there. */
  #addQualifier(): void {
    const target = this.#random.pick(this.#sized);
    const { type, size, align } = this.#at(target);
    if (['array', 'const', 'volatile', 'struct', 'union'].includes(type.kind)) return;
    const kind = this.#random.pick(['const', 'volatile'] as const);
    this.#once({ kind, target: target as TypeId }, size, align);
  }

  #addEnum(): void {
    const random = this.#random;
    const isWide = random.once(3);
    const values = Array.from({ length: 1 + random.below(4) }, (_, i) => ({
      name: this.#name('E'),
      value: isWide && i === 0 ? 1n << BigInt(33 + random.below(28)) : BigInt(random.below(100)),
    }));
    const kind = isWide ? ('enum64' as const) : ('enum' as const);
    const size = isWide ? 8 : 4;
    const bits = isWide ? 0 : 32;
    if (random.once(4)) {
      // Used twice it would be written twice, and its values defined twice.
      const target = this.types.push({ type: { kind, size, values }, size, align: size, bits });
      const name = this.#name('t');
      const type: NewBtfType = { kind: 'typedef', name, target: target as TypeId };
      this.#add({ type, size, align: size, bits });
    } else {
      const type: NewBtfType = { kind, name: this.#name('e'), size, values };
      this.#add({ type, size, align: size, bits });
    }
  }

  #addPrototype(): void {
    const random = this.#random;
    const scalar = (): TypeId => {
      const picked = random.pick(this.#sized);
      const { kind } = this.#at(picked).type;
      const isScalar = kind === 'int' || kind === 'ptr' || kind === 'float' || kind === 'enum';
      return (isScalar ? picked : this.#pointer(picked)) as TypeId;
    };
    const params: { name: string; type: TypeId }[] = [];
    for (let left = random.below(4); left > 0; left--) params.push({ name: '', type: scalar() });
    if (params.length > 0 && random.once(4)) params.push({ name: '', type: 0 as TypeId });
    const returns = random.once(3) ? (0 as TypeId) : scalar();
    this.#prototypes.push(this.#once({ kind: 'func-proto', returns, params }, 0, 1));
  }

  /** A struct that no file defines. */
  #addDeclared(): void {
    const of = this.#random.pick(['struct', 'union'] as const);
    const at = this.#add({
      type: { kind: 'fwd', name: this.#name('o'), of },
      size: 0,
      align: 1,
      bits: 0,
    });
    this.#pointer(at);
  }

  /** Those with a name may have pointers to themselves, and to others that come later. */
  #addComposite(isNamed: boolean): void {
    const random = this.#random;
    const kind = random.pick(['struct', 'struct', 'union'] as const);
    // bpftool never writes that a union is packed, so it would come out greater.
    const packed = kind === 'struct' && random.once(5);
    const members: NewBtfMember[] = [];
    const own = isNamed && !this.#closing && random.once(2) ? this.#reserve() : undefined;
    const later = isNamed && !this.#closing && random.once(3) ? this.#reserve() : undefined;
    const layout = new Layout(kind === 'union', packed, random);
    for (let left = 1 + random.below(6); left > 0; left--) {
      members.push(this.#member(layout, members.length > 0));
    }
    for (const pointer of [own, later]) {
      if (pointer === undefined) continue;
      const bitOffset = layout.place(8, 8);
      members.push({ name: this.#name('m'), type: pointer as TypeId, bitOffset });
    }
    if (kind === 'struct' && random.once(8)) members.push(this.#flexible(layout));
    const { size, align } = layout.finish();
    const type = { kind, name: isNamed ? this.#name('s') : '', size, members };
    // Nothing can follow a flexible array: such a struct is only pointed to.
    const isFlexible = this.#isFlexible(members);
    const at = this.#add({ type, size: isFlexible ? 0 : size, align, bits: 0 });
    if (isNamed && !isFlexible) this.#tags.push(at);
    const pending = own ?? (isNamed ? this.#later.shift() : undefined);
    if (pending !== undefined) this.#pointTo(pending, at);
    else if (isFlexible) this.#pointer(at);
    if (later !== undefined) this.#later.push(later);
  }

  #isFlexible(members: readonly NewBtfMember[]): boolean {
    const last = members.at(-1);
    if (last === undefined) return false;
    const { type } = this.#at(last.type);
    return type.kind === 'array' && type.length === 0;
  }

  /** A pointer whose target is not there yet; {@link #pointTo} sets it. */
  #reserve(): number {
    return this.types.push({
      type: { kind: 'ptr', target: 0 as TypeId },
      size: 8,
      align: 8,
      bits: 0,
    });
  }

  #pointTo(pointer: number, target: number): void {
    const type: NewBtfType = { kind: 'ptr', target: target as TypeId };
    this.types[pointer - 1] = { type, size: 8, align: 8, bits: 0 };
    this.#known.set(JSON.stringify(type), pointer);
    this.#sized.push(pointer);
  }

  #flexible(layout: Layout): NewBtfMember {
    const picked = this.#random.pick(this.#sized);
    const element = layout.packed && this.#at(picked).align > 8 ? intId : picked;
    const type = this.#addArray(element, 0) as TypeId;
    return { name: this.#name('m'), type, bitOffset: layout.place(0, this.#at(element).align) };
  }

  /** The first has a name, which tells its struct from others that have none. */
  #member(layout: Layout, mayBeAnonymous: boolean): NewBtfMember {
    const random = this.#random;
    const picked = random.pick(this.#sized);
    // bpftool takes 8 for the greatest alignment: what has more must not be packed.
    const type = layout.packed && this.#at(picked).align > 8 ? intId : picked;
    const { size, align, bits, type: of } = this.#at(type);
    // Members of a struct without a name need none, either.
    const isAnonymous = (of.kind === 'struct' || of.kind === 'union') && of.name === '';
    const isNameless = mayBeAnonymous && isAnonymous && !this.#inlined.has(type) && random.once(2);
    if (isNameless) this.#inlined.add(type);
    const name = isNameless ? '' : this.#name('m');
    if (bits > 0 && random.once(3)) {
      const bitSize = 1 + random.below(bits);
      return { name, type: type as TypeId, bitOffset: layout.placeBits(bitSize, size), bitSize };
    }
    return { name, type: type as TypeId, bitOffset: layout.place(size, align) };
  }
}

/** Places members as the compiler does, with gaps now and then. Offsets in bits. */
class Layout {
  readonly #isUnion: boolean;
  readonly packed: boolean;
  readonly #random: Random;
  #end = 0;
  #align = 1;
  #naturalAlign = 1;
  #isUnaligned = false;
  #size = 0;

  constructor(isUnion: boolean, packed: boolean, random: Random) {
    this.#isUnion = isUnion;
    this.packed = packed;
    this.#random = random;
  }

  place(size: number, align: number): number {
    const own = this.packed ? 1 : Math.min(align, greatestAlign);
    if (!this.#isUnion && this.#random.once(8)) this.#end = roundUp(this.#end, 8) + 8 * own;
    const at = this.#take(8 * size, 8 * own, own);
    this.#note(at, 8 * Math.min(align, greatestAlign), Math.min(align, greatestAlign));
    return at;
  }

  /**
   * A bit field does not cross the units of its type. In packed structs it may, but bpftool
   * does not see by that that they are.
   */
  placeBits(bitSize: number, size: number): number {
    const unit = 8 * size;
    const first = this.#isUnion ? 0 : this.#end;
    const crosses = (first % unit) + bitSize > unit;
    const own = this.packed ? 1 : size;
    const at = this.#take(bitSize, crosses ? unit : 1, own);
    this.#note(at, 1, size);
    return at;
  }

  #note(at: number, unit: number, align: number): void {
    this.#naturalAlign = Math.max(this.#naturalAlign, align);
    this.#isUnaligned ||= at % unit !== 0;
  }

  #take(bits: number, unit: number, align: number): number {
    const at = this.#isUnion ? 0 : roundUp(this.#end, unit);
    this.#align = Math.max(this.#align, align);
    this.#end = at + bits;
    this.#size = Math.max(this.#size, this.#end);
    return at;
  }

  /**
   * In bytes. A struct that is packed but has nothing to show for it cannot be told from
   * others in BTF, so it is none.
   */
  finish(): { readonly size: number; readonly align: number } {
    const size = roundUp(this.#size, 8 * this.#align) / 8;
    const shows = this.#isUnaligned || size % this.#naturalAlign !== 0;
    return { size, align: shows ? this.#align : this.#naturalAlign };
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function targets(type: NewBtfType): readonly TypeId[] {
  switch (type.kind) {
    case 'ptr':
    case 'const':
    case 'volatile':
    case 'typedef':
      return [type.target];
    case 'array':
      return [type.element, type.index];
    case 'struct':
    case 'union':
      return type.members.map((member) => member.type);
    case 'func-proto':
      return [type.returns, ...type.params.map((param) => param.type)];
    default:
      return [];
  }
}

/** The type with other ids in it. */
function withIds(type: NewBtfType, id: (old: TypeId) => TypeId): NewBtfType {
  switch (type.kind) {
    case 'ptr':
    case 'const':
    case 'volatile':
    case 'typedef':
      return { ...type, target: id(type.target) };
    case 'array':
      return { ...type, element: id(type.element), index: id(type.index) };
    case 'struct':
    case 'union':
      return { ...type, members: type.members.map((of) => ({ ...of, type: id(of.type) })) };
    case 'func-proto': {
      const params = type.params.map((of) => ({ ...of, type: id(of.type) }));
      return { ...type, returns: id(type.returns), params };
    }
    default:
      return type;
  }
}

/** What one source file has: which types, and which of them it only declares. */
export interface Unit {
  readonly whole: ReadonlySet<number>;
  readonly declared: ReadonlySet<number>;
}

/**
 * The types that a file has which uses some: all that they lead to, except that a struct to
 * which only pointers lead may be declared and not defined.
 */
export function chooseUnit({ types }: CTypes, random: Random, uses: number): Unit {
  const whole = new Set<number>();
  const declared = new Set<number>();
  const open: number[] = [];
  for (let i = 0; i < uses; i++) open.push(1 + random.below(types.length));
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === 0 || whole.has(at)) continue;
    const { type } = types[at - 1] as CType;
    whole.add(at);
    declared.delete(at);
    for (const target of targets(type)) {
      if (type.kind === 'ptr' && isTag(types, target) && random.once(2)) {
        if (!whole.has(target)) declared.add(target);
      } else open.push(target);
    }
  }
  return { whole, declared };
}

/** All types, all defined. */
export function wholeUnit({ types }: CTypes): Unit {
  return { whole: new Set(types.map((_, i) => i + 1)), declared: new Set() };
}

function isTag(types: readonly CType[], at: number): boolean {
  const type = types[at - 1]?.type;
  return (type?.kind === 'struct' || type?.kind === 'union') && (type.name ?? '') !== '';
}

/** The BTF of one source file, in any order, on a base or not. */
export function buildUnit(
  { types }: CTypes,
  { whole, declared }: Unit,
  options: { readonly random: Random; readonly littleEndian?: boolean },
): Btf {
  const order = shuffled([...whole, ...declared], options.random);
  const ids = new Map(order.map((at, i) => [at, (i + 1) as TypeId]));
  const builder = new BtfBuilder(options);
  for (const at of order) {
    const { type } = types[at - 1] as CType;
    builder.add(whole.has(at) ? withIds(type, (old) => ids.get(old) ?? old) : declare(type));
  }
  return parseBtf(builder.finish(), { name: 'unit' });
}

function declare(type: NewBtfType): NewBtfType {
  const of = type.kind === 'union' ? 'union' : 'struct';
  return { kind: 'fwd', name: 'name' in type ? (type.name ?? '') : '', of };
}

function shuffled(items: readonly number[], random: Random): readonly number[] {
  return items
    .map((item) => [random.u32(), item] as const)
    .sort((a, b) => a[0] - b[0])
    .map(([, item]) => item);
}

/** How many types some units have together, each counted once. */
export function countTogether(units: readonly Unit[]): number {
  return new Set(units.flatMap(({ whole, declared }) => [...whole, ...declared])).size;
}
