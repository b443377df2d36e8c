// Random BTF for comparisons: types as compilers make them, but more twisted, with a few
// names for all of them.
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { dedupBtf } from '../../src/btf/dedup/dedup.ts';
import { BtfBuilder, type NewBtfMember, type NewBtfType } from '../../src/btf/encode.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { Random } from '../fuzz/random.ts';

const names = ['a', 'b', 'ab', 'abc', 'node', 'list', 'value_t', '__builtin_va_list', 'x___2'];

const ints: readonly NewBtfType[] = [
  { kind: 'int', name: 'int', size: 4, signed: true },
  { kind: 'int', name: 'char', size: 1, signed: true },
  { kind: 'int', name: 'unsigned char', size: 1 },
  { kind: 'int', name: 'long', size: 8, signed: true },
  { kind: 'int', name: 'unsigned short', size: 2 },
  { kind: 'int', name: '_Bool', size: 1, bool: true },
  { kind: 'int', name: '__int128', size: 16, signed: true },
  { kind: 'int', name: '__Poly8_t', size: 1 },
];

/** A BTF, and two on top of it. */
export function randomBtf(
  seed: number,
  index: number,
): { readonly base: Uint8Array; readonly split: Uint8Array; readonly other: Uint8Array } {
  const random = new Random(seed, index);
  // Where a base has types twice, it is open which one merging takes.
  const parsed = dedupBtf(parseBtf(new Generator(random, undefined).make(), { name: 'base' }));
  const base = parsed.bytes;
  const split = new Generator(random, parsed).make();
  const other = new Generator(random, parsed).make();
  return { base, split, other };
}

/** Adds types; those that embed others only embed earlier ones, so that no circle has no end. */
class Generator {
  readonly #random: Random;
  readonly #base: Btf | undefined;
  readonly #builder: BtfBuilder;
  readonly #count: number;
  #next: number;
  /** Earlier types with a size, and their sizes. */
  readonly #sized: { readonly id: TypeId; readonly size: number; readonly isInt: boolean }[] = [];
  readonly #functions: TypeId[] = [];

  constructor(random: Random, base: Btf | undefined) {
    this.#random = random;
    this.#base = base;
    this.#builder = new BtfBuilder({ base });
    this.#next = base?.endId ?? 1;
    this.#count = 10 + random.below(90);
  }

  make(): Uint8Array {
    if (this.#base === undefined)
      for (const int of ints) this.#add(int, int.kind === 'int' ? int.size : 0);
    else this.#useBase(this.#base);
    for (let i = 0; i < this.#count; i++) this.#addRandom();
    return this.#builder.finish();
  }

  #useBase(base: Btf): void {
    for (let id = 1; id < base.endId; id++) {
      const isInt = base.kindOf(id as TypeId) === BTF_KIND.INT;
      if (isInt)
        this.#sized.push({ id: id as TypeId, size: base.sizeOrTypeOf(id as TypeId), isInt });
    }
  }

  #add(type: NewBtfType, size = 0): TypeId {
    const id = this.#builder.add(type);
    this.#next = id + 1;
    if (size > 0) this.#sized.push({ id, size, isInt: type.kind === 'int' });
    return id;
  }

  #name(): string {
    return this.#random.once(4) ? '' : this.#random.pick(names);
  }

  /** Any type, also one that comes later. */
  #any(): TypeId {
    const end = this.#random.once(4) ? this.#next + 3 : this.#next;
    return Math.min(this.#random.below(end), this.#next - 1) as TypeId;
  }

  #addRandom(): void {
    const random = this.#random;
    const kind = random.below(14);
    if (kind < 4) this.#addComposite();
    else if (kind < 6) this.#add({ kind: 'ptr', target: this.#any() }, 8);
    else if (kind === 6) this.#addArray();
    else if (kind === 7) this.#addTypedef();
    else if (kind === 8) this.#addModifier();
    else if (kind === 9) this.#addEnum();
    else if (kind === 10) this.#addPrototype();
    else if (kind === 11) this.#add({ kind: 'fwd', name: random.pick(names), of: 'struct' });
    else if (kind === 12) this.#addFunction();
    else this.#addOther();
  }

  #addArray(): void {
    const { id, size } = this.#random.pick(this.#sized);
    const length = this.#random.below(5);
    this.#add({ kind: 'array', element: id, index: 1 as TypeId, length }, size * length);
  }

  #addTypedef(): void {
    const sized = this.#random.pick(this.#sized);
    const name = this.#random.pick(names);
    if (this.#random.once(3)) this.#add({ kind: 'typedef', name, target: this.#any() });
    else this.#add({ kind: 'typedef', name, target: sized.id }, sized.size);
  }

  #addModifier(): void {
    const random = this.#random;
    const { id, size } = random.pick(this.#sized);
    const kind = random.pick(['const', 'volatile', 'restrict', 'type-tag'] as const);
    if (kind === 'type-tag')
      this.#add({ kind, name: 'user', target: id, attribute: random.once(2) }, size);
    else this.#add({ kind, target: id }, size);
  }

  #addEnum(): void {
    const random = this.#random;
    const wide = random.once(2);
    const size = random.pick(wide ? [8] : [1, 2, 4, 8]);
    const values = Array.from({ length: random.below(4) }, () => ({
      name: random.pick(names),
      value: wide
        ? BigInt(random.u32()) << BigInt(random.below(32))
        : BigInt(random.u32() >>> (32 - random.pick([7, 15, 31]))),
    }));
    const kind = wide ? ('enum64' as const) : ('enum' as const);
    this.#add({ kind, name: this.#name(), size, signed: random.once(2), values }, size);
  }

  #addPrototype(): void {
    const params = Array.from({ length: this.#random.below(4) }, () => ({
      name: this.#name(),
      type: this.#any(),
    }));
    this.#functions.push(this.#add({ kind: 'func-proto', returns: this.#any(), params }));
  }

  #addFunction(): void {
    const proto = this.#functions.at(-1);
    if (proto === undefined) return;
    const name = this.#random.pick(names);
    const target = this.#add({ kind: 'func', name, proto, linkage: 'global' });
    for (const tag of ['bpf_kfunc', 'bpf_fastcall']) {
      if (this.#random.once(2)) this.#add({ kind: 'decl-tag', name: tag, target, component: -1 });
    }
  }

  #addOther(): void {
    const random = this.#random;
    const { id, size } = random.pick(this.#sized);
    const linkage = random.pick(['static', 'global', 'extern'] as const);
    if (random.once(3)) this.#add({ kind: 'float', name: 'double', size: 8 }, 8);
    else if (random.once(2)) {
      const type = this.#add({ kind: 'var', name: random.pick(names), type: id, linkage });
      this.#add({ kind: 'datasec', name: '.data', size, vars: [{ type, offset: 0, size }] });
    } else {
      this.#add({
        kind: 'decl-tag',
        name: 'tag',
        target: id,
        component: -1,
        attribute: random.once(2),
      });
    }
  }

  /** Members one after the other, aligned or not, some of them bit fields, with gaps. */
  #addComposite(): void {
    const random = this.#random;
    const isUnion = random.once(4);
    const members: NewBtfMember[] = [];
    let bits = 0;
    let greatest = 0;
    for (let left = random.below(6); left > 0; left--) {
      const { id, size, isInt } = random.pick(this.#sized);
      const name = this.#name();
      if (isInt && random.once(3)) {
        const bitSize = 1 + random.below(Math.min(8 * size, 64));
        members.push({ name, type: id, bitOffset: isUnion ? 0 : bits, bitSize });
        bits += bitSize;
      } else {
        bits = roundUp(bits, random.once(6) ? 8 : 8 * Math.min(8, lowestBit(size)));
        members.push({ name, type: id, bitOffset: isUnion ? 0 : bits });
        bits += 8 * size;
      }
      greatest = Math.max(greatest, size);
      if (random.once(5)) bits += random.below(100);
    }
    const size = isUnion ? greatest : roundUp(bits, random.pick([8, 32, 64])) / 8;
    const kind = isUnion ? ('union' as const) : ('struct' as const);
    this.#add({ kind, name: this.#name(), size, members }, size);
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function lowestBit(value: number): number {
  return value === 0 ? 1 : value & -value;
}
