import test from 'ava';
import { BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { BpfError } from '../../src/errors.ts';
import type { MapSpec, ObjectSpec, StructOpsSpec } from '../../src/object/spec.ts';
import { buildImages } from '../../src/relocs/image.ts';
import { planStructOps, structOpsAutoload } from '../../src/relocs/struct-ops.ts';
import type { KernelTypes } from '../../src/relocs/target.ts';
import { exit, fn, makeMap, makeProgram, makeSpec } from './specs.ts';

/** A member by name and kind; the offsets follow from the order. */
type Member = readonly [name: string, kind: 'int' | 'long' | 'callback' | 'pointer' | 'bits'];

function addStruct(builder: BtfBuilder, name: string, members: readonly Member[]): TypeId {
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const long = builder.add({ kind: 'int', name: 'long', size: 8, signed: true });
  const proto = builder.add({ kind: 'func-proto', returns: int, params: [] });
  const callback = builder.add({ kind: 'ptr', target: proto });
  const pointer = builder.add({ kind: 'ptr', target: int });
  const types = { int, long, callback, pointer, bits: int };
  let offset = 0;
  const placed = members.map(([member, kind]) => {
    const size = kind === 'int' || kind === 'bits' ? 4 : 8;
    const at = Math.ceil(offset / size) * size;
    offset = at + size;
    const bitSize = kind === 'bits' ? 3 : 0;
    return { name: member, type: types[kind], bitOffset: 8 * at, bitSize };
  });
  return builder.add({ kind: 'struct', name, size: Math.ceil(offset / 8) * 8, members: placed });
}

function objectBtf(members: readonly Member[], name = 'ops'): { btf: Btf; type: TypeId } {
  const builder = new BtfBuilder();
  const type = addStruct(builder, name, members);
  return { btf: parseBtf(builder.finish()), type };
}

/** A kernel with `struct ops` behind 64 bytes of `struct bpf_struct_ops_ops`. */
function kernel(members: readonly Member[], module = false): KernelTypes {
  const base = new BtfBuilder();
  base.add({ kind: 'int', name: 'char', size: 1, signed: true });
  const vmlinux = module ? parseBtf(base.finish(), { name: 'vmlinux' }) : undefined;
  const builder = vmlinux === undefined ? base : new BtfBuilder({ base: vmlinux });
  const struct = addStruct(builder, 'ops', members);
  const data = { name: 'data', type: struct, bitOffset: 512 };
  builder.add({ kind: 'struct', name: 'bpf_struct_ops_ops', size: 128, members: [data] });
  const btf = parseBtf(builder.finish(), { name: module ? 'mod' : 'vmlinux', base: vmlinux });
  return { kernel: vmlinux ?? btf, modules: () => (module ? [{ name: 'mod', btf }] : []) };
}

interface Seed {
  readonly members: readonly Member[];
  readonly contents: readonly number[];
  /** Function by index of the member. */
  readonly functions?: Readonly<Record<number, number>>;
  readonly more?: Partial<MapSpec>;
  readonly structOps?: Partial<StructOpsSpec>;
  readonly name?: string;
}

/** An object with functions `a` and `b`, both struct_ops programs, and maps of one struct. */
function object(...seeds: readonly Seed[]): ObjectSpec {
  const { btf, type } = objectBtf(seeds[0]?.members ?? [], seeds[0]?.name);
  const maps = seeds.map((seed, at) => {
    const functions = Object.entries(seed.functions ?? {}).map(([member, index]) => ({
      ...{ member: Number(member), function: fn(index) },
    }));
    const structOps: StructOpsSpec = {
      ...{ section: '.struct_ops', autocreate: true, link: false, type, functions },
      contents: Uint8Array.from(seed.contents),
      ...seed.structOps,
    };
    return makeMap(`map${at}`, { type: BPF_MAP_TYPE.STRUCT_OPS, structOps, ...seed.more });
  });
  const functions = ['a', 'b'].map((name, at) => ({
    ...{ name, rows: [exit], section: 'struct_ops', sectionOffset: at },
  }));
  const programs = ['a', 'b'].map((name, at) =>
    makeProgram(name, at, { type: BPF_PROG_TYPE.STRUCT_OPS, section: 'struct_ops' }),
  );
  return { ...makeSpec(functions, { maps, programs }), btf };
}

const local: readonly Member[] = [
  ['number', 'int'],
  ['call', 'callback'],
  ['wide', 'long'],
];
const numbers = [7, 0, 0, 0, 0, 0, 0, 0, ...new Array<number>(8).fill(0), 9, 0, 0, 0, 0, 0, 0, 0];

test('members go where the target has them, functions become places', (t) => {
  const spec = object({ members: local, contents: numbers, functions: { 1: 0 } });
  const types = kernel([
    ['wide', 'long'],
    ['other', 'callback'],
    ['call', 'callback'],
    ['number', 'int'],
  ]);
  const plan = planStructOps(spec, types);
  const map = plan.maps.get(0);
  t.is(map?.value.length, 128);
  t.is(
    toHex(map?.value.subarray(64, 96) ?? new Uint8Array()),
    `09${'0'.repeat(46)}07${'0'.repeat(14)}`,
  );
  t.deepEqual(map?.functions, [{ offset: 80, function: fn(0) }]);
  t.deepEqual(map?.left, []);
  t.is(map?.module, undefined);
  const [image] = buildImages(spec, { targets: [], structOps: plan }).images;
  t.is(image?.attachType, 2, 'the index of the member in the target');
  t.is(image?.structOps?.name, 'ops');
  t.is(types.kernel.nameOf(image?.structOps?.type as TypeId), 'ops');
});

test('flavours do not count, and modules are looked into', (t) => {
  const spec = object({ members: local, contents: numbers, name: 'ops___mine' });
  const plan = planStructOps(spec, kernel(local, true));
  t.is(plan.maps.get(0)?.module, 'mod');
});

test('members that the target lacks: zeros and programs are left, values refused', (t) => {
  const types = kernel(local.slice(0, 1));
  const zeros = new Array<number>(24).fill(0);
  const spec = object({ members: local, contents: zeros, functions: { 1: 1 } });
  const plan = planStructOps(spec, types);
  t.deepEqual(plan.maps.get(0)?.left, ['call', 'wide']);
  t.deepEqual(plan.maps.get(0)?.functions, []);
  const [a, b] = spec.programs;
  t.is(a && structOpsAutoload(plan, a), undefined, 'no map names it: its own autoload counts');
  t.is(b && structOpsAutoload(plan, b), false);
  t.throws(() => planStructOps(object({ members: local, contents: numbers }), types), {
    message:
      "map 'map0': struct 'ops', member 'wide': the target has no such member, and the object sets it",
  });
});

test('maps that are not made ask for nothing; their programs load if another map wants them', (t) => {
  const seed = { members: local, contents: numbers };
  const types = kernel(local);
  const off = { ...seed, functions: { 1: 0 }, structOps: { autocreate: false } };
  const alone = object(off);
  const [program] = alone.programs;
  t.is(program && structOpsAutoload(planStructOps(alone, types), program), false);
  t.is(planStructOps(alone, types).maps.size, 0);
  const both = planStructOps(object(off, { ...seed, functions: { 1: 0 } }), types);
  t.is(program && structOpsAutoload(both, program), true);
  // What the user says goes before the section.
  const on = planStructOps(object({ ...off, more: { autocreate: true } }), types);
  t.is(on.maps.size, 1);
});

const refused: readonly [string, readonly Member[], readonly Member[], string][] = [
  ['another size', local, [local[0] as Member, local[1] as Member, ['wide', 'int']], 'wide'],
  ['another kind', local, [['number', 'pointer'], ...local.slice(1)], 'number'],
  ['a bit field', [['number', 'bits'], ...local.slice(1)], local, 'number'],
  ['a pointer to no function', local, [local[0] as Member, ['call', 'pointer']], 'call'],
];

for (const [title, ours, theirs, member] of refused) {
  test(`refused: ${title}`, (t) => {
    const spec = object({ members: ours, contents: numbers, functions: { 1: 0 } });
    const error = t.throws(() => planStructOps(spec, kernel(theirs)), { instanceOf: BpfError });
    t.is(error?.code, 'struct-ops-member');
    t.true(error?.message.startsWith(`map 'map0': struct 'ops', member '${member}': it `));
  });
}

test('a program stands for one member only, in however many maps', (t) => {
  const members: readonly Member[] = [...local.slice(0, 2), ['again', 'callback']];
  const contents = new Array<number>(24).fill(0);
  const types = kernel(members);
  const same = object(
    { members, contents, functions: { 1: 0 } },
    { members, contents, functions: { 1: 0 } },
  );
  t.is(planStructOps(same, types).programs.size, 1);
  const twice = object({ members, contents, functions: { 1: 0, 2: 0 } });
  t.throws(() => planStructOps(twice, types), { message: /program 'a': it stands for different/ });
});

test('a struct that the target does not call back is refused by name', (t) => {
  const spec = object({ members: local, contents: numbers, name: 'other_ops' });
  for (const types of [kernel(local), undefined]) {
    t.throws(() => planStructOps(spec, types), {
      message:
        "map 'map0': struct 'other_ops' is no struct of callbacks on the target: it has no 'bpf_struct_ops_other_ops'",
    });
  }
});

test('functions that are no struct_ops programs are refused', (t) => {
  const spec = object({ members: local, contents: numbers, functions: { 1: 0 } });
  const programs = spec.programs.map((each) => ({ ...each, type: BPF_PROG_TYPE.XDP }));
  t.throws(() => planStructOps({ ...spec, programs }, kernel(local)), {
    message: /it holds a function that is no struct_ops program/,
  });
});
