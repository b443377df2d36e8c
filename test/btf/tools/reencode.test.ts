import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { projectRoot } from '../../../scripts/paths.ts';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import { findBtf } from '../../../src/btf/file.ts';
import { findSorted, namedStart, permuteBtf, sortBtf } from '../../../src/btf/tools/permute.ts';
import { convertEndianness, encodeBtf } from '../../../src/btf/tools/reencode.ts';
import type { BtfKind, TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';
import { graphs } from '../arbitrary.ts';
import { throwsBpfError } from '../support.ts';

/** BTF that clang, pahole and the kernel made. */
function realBtf(): readonly (readonly [string, Uint8Array])[] {
  const found: [string, Uint8Array][] = [];
  for (const kind of ['v3', 'v4', 'be']) {
    for (const file of readdirSync(join(projectRoot, 'fixtures', kind))) {
      const bytes = new Uint8Array(readFileSync(join(projectRoot, 'fixtures', kind, file)));
      const btf = btfOf(bytes, file);
      if (btf !== undefined) found.push([`${kind}/${file}`, btf]);
    }
  }
  const data = join(projectRoot, 'test/btf/data');
  for (const file of readdirSync(data).filter((name) => name.endsWith('.btf'))) {
    found.push([file, new Uint8Array(readFileSync(join(data, file)))]);
  }
  return found;
}

/** The types of an object, undefined for one that was built without. */
function btfOf(bytes: Uint8Array, file: string): Uint8Array | undefined {
  try {
    return findBtf(bytes, file).btf;
  } catch (error) {
    const detail = error instanceof BpfError ? error.detail : undefined;
    if (detail?.code === 'btf-file' && detail.fault.kind === 'no-section') return undefined;
    throw error;
  }
}

/** BTF of kernels, where there is any. */
function kernelBtf(): readonly (readonly [string, Uint8Array])[] {
  const kernels = ['6.1', '6.12', '7.2'].map((version) =>
    join(projectRoot, '.cache/kernels', version, 'vmlinux.btf'),
  );
  return [...kernels, '/sys/kernel/btf/vmlinux']
    .filter((path) => existsSync(path))
    .map((path) => [path, new Uint8Array(readFileSync(path))]);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

test('encoding what was parsed gives the same bytes', (t) => {
  for (const [name, bytes] of [...realBtf(), ...kernelBtf()]) {
    t.true(same(encodeBtf(parseBtf(bytes)), bytes), name);
  }
});

test('the other byte order holds the same types, and goes back to the same bytes', (t) => {
  for (const [name, bytes] of realBtf()) {
    const btf = parseBtf(bytes);
    const swapped = parseBtf(convertEndianness(btf, !btf.littleEndian));
    t.is(swapped.littleEndian, !btf.littleEndian);
    for (let id = 1 as TypeId; id < btf.endId; id++) t.deepEqual(swapped.type(id), btf.type(id));
    t.true(same(convertEndianness(swapped, btf.littleEndian), bytes), name);
    t.is(convertEndianness(btf, btf.littleEndian), btf.bytes);
  }
});

function build(types: readonly NewBtfType[], base?: Btf): Btf {
  const builder = new BtfBuilder({ base });
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { base });
}

const layoutBytes = Uint8Array.from({ length: 84 }, (_, i) => (i === 80 ? 4 : i % 4 === 2 ? 1 : 0));

test('a layout section goes along, before or behind the strings', (t) => {
  const plain = encodeBtf(build([{ kind: 'int', name: 'int', size: 4 }]));
  for (const first of [true, false]) {
    const bytes = withLayout(plain, first);
    const btf = parseBtf(bytes);
    t.deepEqual(encodeBtf(btf), bytes);
    t.deepEqual(encodeBtf(btf, { layout: false }), plain);
    const swapped = parseBtf(convertEndianness(btf, false));
    t.is(swapped.layout?.[3], 1);
    t.deepEqual(convertEndianness(swapped, true), bytes);
  }
});

function withLayout(plain: Uint8Array, first: boolean): Uint8Array {
  const view = new DataView(plain.buffer, plain.byteOffset);
  const [typeLength, stringLength] = [view.getUint32(12, true), view.getUint32(20, true)];
  const types = plain.subarray(24, 24 + typeLength);
  const strings = plain.subarray(24 + typeLength);
  const padding = new Uint8Array((4 - (stringLength % 4)) % 4);
  const header = new Uint8Array(32);
  header.set(plain.subarray(0, 24));
  const out = new DataView(header.buffer);
  const layoutAt = typeLength + (first ? 0 : stringLength + padding.length);
  const words = [typeLength, first ? typeLength + 84 : typeLength, stringLength, layoutAt, 84];
  out.setUint32(4, 32, true);
  words.forEach((word, i) => {
    out.setUint32(12 + 4 * i, word, true);
  });
  const parts = first ? [layoutBytes, strings] : [strings, padding, layoutBytes];
  return new Uint8Array(Buffer.concat([header, types, ...parts]));
}

test('permuting back gives the same bytes, and types follow their ids', (t) => {
  fc.assert(
    fc.property(graphs(), fc.infiniteStream(fc.nat()), (types, random) => {
      const btf = build(types);
      const ids = types
        .map((_, i) => [random.next().value as number, i + 1] as const)
        .sort((a, b) => a[0] - b[0])
        .map(([, id]) => id);
      const moved = permuteBtf(btf, ids);
      ids.forEach((id, i) => {
        t.is(moved.nameOf(id as TypeId), btf.nameOf((i + 1) as TypeId));
        t.is(moved.kindOf(id as TypeId), btf.kindOf((i + 1) as TypeId));
      });
      const back = ids.map((_, i) => ids.indexOf(i + 1) + 1);
      t.deepEqual(permuteBtf(moved, back).bytes, btf.bytes);
    }),
    { numRuns: 50 },
  );
});

test('references go with the types', (t) => {
  const one = 1 as TypeId;
  const btf = build([
    { kind: 'int', name: 'z', size: 4 },
    { kind: 'struct', name: 'a', size: 4, members: [{ name: 'm', type: one, bitOffset: 0 }] },
    { kind: 'array', element: one, index: 2 as TypeId, length: 3 },
  ]);
  const moved = permuteBtf(btf, [3, 1, 2]);
  t.like(moved.type(3 as TypeId), { kind: 'int', name: 'z' });
  t.like(moved.type(1 as TypeId), { kind: 'struct', members: [{ type: 3 }] });
  t.like(moved.type(2 as TypeId), { kind: 'array', element: 3, index: 1 });
});

test('a permutation has each id of its level once', (t) => {
  const base = build([{ kind: 'int', name: 'int', size: 4 }]);
  const pointer = { kind: 'ptr', target: 1 as TypeId } as const;
  const btf = build([pointer, { kind: 'const', target: 2 as TypeId }], base);
  for (const ids of [[], [2], [1, 2], [2, 2], [2, 4], [2, 2.5], [3, Number.NaN]]) {
    throwsBpfError(t, () => permuteBtf(btf, ids), 'btf-permutation');
  }
  const moved = permuteBtf(btf, [3, 2]);
  t.like(moved.type(3 as TypeId), { kind: 'ptr', target: 1 });
  t.like(moved.type(2 as TypeId), { kind: 'const', target: 3 });
});

test('a sorted BTF is searched by halving', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const btf = build(types);
      const sorted = sortBtf(btf);
      const start = namedStart(sorted);
      t.not(start, undefined);
      t.is(sortBtf(sorted), sorted);
      for (let id = 1 as TypeId; id < sorted.endId; id++) {
        const name = sorted.nameOf(id);
        if (name === '' || start === undefined) continue;
        const kind: BtfKind = sorted.kindOf(id);
        t.is(findSorted(sorted, start, name, kind), sorted.find(name, kind));
        t.is(findSorted(sorted, start, name), sorted.find(name));
        t.is(findSorted(sorted, start, `${name}!`), sorted.find(`${name}!`));
      }
    }),
    { numRuns: 50 },
  );
});
