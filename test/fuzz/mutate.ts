// Damage to objects: blind (bytes flipped, cut, copied about) and with knowledge of the
// format (one field of a header, symbol, relocation, type or instruction set to a value
// that tends to hurt). Every mutation is a function of the random numbers alone.
import { type EditSection, ElfEdit, ehdr, shdr, sym } from '../support/elf-edit.ts';
import type { Random } from './random.ts';

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

/** Values at the edges of sizes, signs and counts. */
const edges = [
  0, 1, 2, 3, 4, 7, 8, 16, 24, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0xff00,
  0xfff1, 0xfff2, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
] as const;

function value(random: Random, near: number): number {
  switch (random.below(4)) {
    case 0:
      return random.u32();
    case 1:
      return (near + random.below(33) - 16) >>> 0;
    default:
      return random.pick(edges);
  }
}

function flipBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const out = bytes.slice();
  for (let left = 1 + random.below(16); left > 0; left--) {
    const at = random.below(out.length);
    out[at] = random.once(2) ? random.u32() & 0xff : (out[at] ?? 0) ^ (1 << random.below(8));
  }
  return out;
}

function truncate(bytes: Uint8Array, random: Random): Uint8Array {
  return bytes.slice(0, random.below(bytes.length));
}

function extend(bytes: Uint8Array, random: Random): Uint8Array {
  const out = new Uint8Array(bytes.length + random.below(4096));
  out.set(bytes);
  return out;
}

/** Copies a stretch of the object over another part of it. */
function splice(bytes: Uint8Array, random: Random): Uint8Array {
  const out = bytes.slice();
  const size = 1 + random.below(random.once(4) ? 2048 : 64);
  const from = random.below(out.length - size);
  out.copyWithin(random.below(out.length), from, from + size);
  return out;
}

/** Sets one number somewhere, aligned as most numbers are. */
function setWord(bytes: Uint8Array, random: Random): Uint8Array {
  const out = bytes.slice();
  const at = random.below(Math.max(0, out.length - 8)) & ~3;
  if (at + 4 <= out.length) {
    const view = new DataView(out.buffer);
    view.setUint32(at, value(random, view.getUint32(at, true)), true);
  }
  return out;
}

/** A mutation that needs the object's structure; what has none any more is mutated blindly. */
function structured(change: (elf: ElfEdit, random: Random) => void): Mutation {
  return (bytes, random) => {
    try {
      const elf = new ElfEdit(bytes);
      change(elf, random);
      return elf.bytes;
    } catch {
      return setWord(bytes, random);
    }
  };
}

function sized(elf: ElfEdit, random: Random): EditSection {
  return random.pick(elf.sections.filter((section) => section.size > 0));
}

/** Sets the 32-bit word at a file offset, or its low 16 bits. */
function setField(elf: ElfEdit, at: number, random: Random): void {
  if (random.once(3)) elf.setU16(at, value(random, elf.u16(at)) & 0xffff);
  else elf.setU32(at, value(random, elf.u32(at)));
}

const fileHeader = structured((elf, random) => {
  setField(elf, random.pick([...Object.values(ehdr), 6, 20, 32, 52, 58]), random);
});

const sectionHeader = structured((elf, random) => {
  const { header } = random.pick(elf.sections);
  const at = header + random.pick(Object.values(shdr));
  if (random.once(8)) elf.setU64(at, BigInt(random.u32()) << 32n);
  else elf.setU32(at, value(random, elf.u32(at)));
});

const symbol = structured((elf, random) => {
  const { offset, size } = elf.section('.symtab');
  const at = offset + random.below(size / 24) * 24 + random.pick(Object.values(sym));
  setField(elf, at, random);
});

const relocation = structured((elf, random) => {
  const tables = elf.sections.filter(({ name, size }) => name.startsWith('.rel') && size > 0);
  const { offset, size } = random.pick(tables);
  setField(elf, offset + random.below(size / 16) * 16 + random.pick([0, 8, 12]), random);
});

const typeInformation = structured((elf, random) => {
  const { offset, size } = elf.section('.BTF');
  const header = random.once(4);
  const at = header ? 4 * random.below(6) : 24 + 4 * random.below((size - 24) / 4);
  setField(elf, offset + at, random);
});

/** Changes the reference or the kind of a BTF type, which keeps the section well formed more often. */
const typeReference = structured((elf, random) => {
  const { offset, size } = elf.section('.BTF');
  const types = elf.u32(offset + 12);
  const at = offset + 24 + 4 * random.below(Math.min(types, size - 24) / 4);
  const old = elf.u32(at);
  elf.setU32(at, random.once(2) ? random.below(64) : old ^ (1 << random.below(32)));
});

const extension = structured((elf, random) => {
  const { offset, size } = elf.section('.BTF.ext');
  setField(elf, offset + 4 * random.below(random.once(3) ? 8 : size / 4), random);
});

/** Place of the CO-RE records of `.BTF.ext`, where there are any: their part starts with a record size. */
function coreRecords(elf: ElfEdit): { readonly start: number; readonly length: number } {
  const { offset } = elf.section('.BTF.ext');
  const header = elf.u32(offset + 4);
  return { start: offset + header + elf.u32(offset + 24), length: elf.u32(offset + 28) };
}

/** Sets a word of the CO-RE records: instruction, type, access string, kind, a count, a name. */
const coreRecord = structured((elf, random) => {
  const { start, length } = coreRecords(elf);
  setField(elf, start + 4 * random.below(length / 4), random);
});

const accesses = ['0', '0:0', '0:1:2', '0:99', '9:0', '0:0:0:0:0:0:0:0', '0:4294967295', '', '0:'];

/** Puts another access string where one is, cut to the room that there is. */
const accessString = structured((elf, random) => {
  const { start } = coreRecords(elf);
  const { offset } = elf.section('.BTF');
  const strings = offset + elf.u32(offset + 4) + elf.u32(offset + 16);
  // Behind the record size and the head of the first section: type and string of the first record.
  const record = start + 4 + 8 + 16 * random.below(elf.u32(start + 8));
  const at = strings + elf.u32(record + 8);
  let room = 0;
  while (elf.bytes[at + room] !== undefined && elf.bytes[at + room] !== 0) room++;
  elf.setText(at, random.pick(accesses).slice(0, room).padEnd(room, '0'));
});

/** Lets a relocation refer to another symbol, or lets a symbol be an extern or somewhere else. */
const reference = structured((elf, random) => {
  const symbols = elf.section('.symtab');
  const count = symbols.size / 24;
  if (random.once(2)) {
    const tables = elf.sections.filter(({ name, size }) => name.startsWith('.rel') && size > 0);
    const { offset, size } = random.pick(tables);
    elf.setU32(offset + random.below(size / 16) * 16 + 12, random.below(count));
    return;
  }
  const at = symbols.offset + 24 * random.below(count);
  if (random.once(2)) elf.setU16(at + 6, random.below(elf.sections.length));
  else elf.setU8(at + 4, random.pick([0x00, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x01, 0x02, 0x03]));
});

/** Changes the entries of a table that the loader reads: jump tables, structs, data. */
const tableEntry = structured((elf, random) => {
  const tables = elf.sections.filter(
    ({ name, size }) => size >= 4 && /^(\.jumptables|\??\.struct_ops|\.maps|\.addr)/.test(name),
  );
  const { offset, size } = random.pick(tables);
  setField(elf, offset + 4 * random.below(size / 4), random);
});

const instruction = structured((elf, random) => {
  const code = elf.sections.filter(({ type, size, name }) => {
    return type === 1 && size >= 8 && size % 8 === 0 && !name.startsWith('.BTF');
  });
  const { offset, size } = random.pick(code);
  const at = offset + random.below(size / 8) * 8;
  switch (random.below(4)) {
    case 0:
      return elf.setU8(at, random.u32() & 0xff);
    case 1:
      return elf.setU8(at + 1, random.u32() & 0xff);
    case 2:
      return elf.setU16(at + 2, value(random, elf.u16(at + 2)) & 0xffff);
    default:
      return elf.setU32(at + 4, value(random, elf.u32(at + 4)));
  }
});

const text = structured((elf, random) => {
  const { offset, size } = sized(elf, random);
  elf.setText(
    offset + random.below(size - 8),
    random.pick(['\0', '0:0:1', '9'.repeat(8), '\u001b[2J', '..']),
  );
});

/** The likelier a mutation keeps an object openable, the more often it stands here. */
const mutations: readonly Mutation[] = [
  flipBytes,
  truncate,
  extend,
  splice,
  setWord,
  fileHeader,
  sectionHeader,
  sectionHeader,
  symbol,
  symbol,
  relocation,
  relocation,
  typeInformation,
  typeReference,
  typeReference,
  typeReference,
  extension,
  extension,
  coreRecord,
  coreRecord,
  accessString,
  reference,
  reference,
  tableEntry,
  instruction,
  instruction,
  instruction,
  instruction,
  instruction,
  text,
];

/** The object with one to three things wrong. */
export function mutate(original: Uint8Array, random: Random): Uint8Array {
  let bytes = original;
  const count = random.once(3) ? 1 + random.below(3) : 1;
  for (let i = 0; i < count; i++) bytes = random.pick(mutations)(bytes, random);
  return bytes;
}
