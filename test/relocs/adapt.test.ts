import test from 'ava';
import { BPF_FUNC, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import type { HostFeature } from '../../src/backend/backend.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { typeToString } from '../../src/btf/graph.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import type { ProgramImage } from '../../src/object/image.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { arenaDataOffset } from '../../src/relocs/arena.ts';
import { buildImages } from '../../src/relocs/image.ts';
import { withHiddenStatic } from '../../src/relocs/linkage.ts';
import { VmHost } from '../../src/vm/host.ts';
import {
  at,
  exit,
  type FunctionSeed,
  far,
  fn,
  makeMap,
  makeProgram,
  makeSpec,
  map,
  nop,
  type Row,
  wide,
} from './specs.ts';

const machine = (...lacks: readonly HostFeature[]) => ({
  pageSize: 4096,
  host: new VmHost({ lacks }),
});

function imageOf(spec: ObjectSpec, ...lacks: readonly HostFeature[]): ProgramImage {
  const [image] = buildImages(spec, { targets: [], machine: machine(...lacks) }).images;
  if (image === undefined) throw new Error('no image');
  return image;
}

function onlyMain(rows: readonly Row[], more: Partial<FunctionSeed> = {}): ObjectSpec {
  const seeds = [{ name: 'main', rows, section: 'xdp', ...more }];
  return makeSpec(seeds, { programs: [makeProgram('main', 0)] });
}

const call = (helper: number): Row => [0x85, 0, 0, 0, helper];

test('old kernels get the helpers that they have', (t) => {
  const { probe_read_kernel, probe_read_user, probe_read_kernel_str, probe_read_user_str } =
    BPF_FUNC;
  const helpers = [probe_read_kernel, probe_read_user, probe_read_kernel_str, probe_read_user_str];
  const spec = onlyMain([...helpers.map(call), call(BPF_FUNC.get_current_task), exit]);
  const imms = (...lacks: readonly HostFeature[]) => [...imageOf(spec, ...lacks).insns.imm];
  t.deepEqual(imms(), [...helpers, BPF_FUNC.get_current_task, 0]);
  const { probe_read, probe_read_str } = BPF_FUNC;
  t.deepEqual(imms('probe-read-kernel'), [
    ...[probe_read, probe_read, probe_read_str, probe_read_str],
    ...[BPF_FUNC.get_current_task, 0],
  ]);
});

test('usdt programs are for a link of many where the kernel has one', (t) => {
  const kprobe = {
    attachType: 0,
    type: BPF_PROG_TYPE.KPROBE,
    section: 'usdt/libc.so.6:libc:setjmp',
  };
  const spec = { ...onlyMain([exit]), programs: [makeProgram('main', 0, kprobe)] };
  t.is(imageOf(spec).attachType, 48);
  t.is(imageOf(spec, 'uprobe-multi').attachType, 0);
});

/** Types of `main`, and of a global `sub(void *a, struct xdp_md *b, int c)` with marks. */
function markedTypes(linkage: 'global' | 'static' = 'global') {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const pointer = builder.add({ kind: 'ptr', target: 0 as TypeId });
  const struct = builder.add({ kind: 'struct', name: 'xdp_md', size: 24, members: [] });
  const context = builder.add({ kind: 'ptr', target: struct });
  const params = [pointer, context, int].map((type, i) => ({ name: `p${i}`, type }));
  const proto = builder.add({ kind: 'func-proto', returns: int, params });
  const main = builder.add({ kind: 'func', name: 'main', proto, linkage: 'global' });
  const sub = builder.add({ kind: 'func', name: 'sub', proto, linkage });
  for (const component of [0, 1, 2]) {
    builder.add({ kind: 'decl-tag', name: 'arg:ctx', target: sub, component });
  }
  return { btf: parseBtf(builder.finish(), { name: 'types' }), main, sub };
}

function callingSub(btf: Btf, types: readonly TypeId[], type: number): ObjectSpec {
  const seeds = [
    {
      ...{ name: 'main', rows: [far, exit], section: 'xdp' },
      relocations: [{ kind: 'call', insn: at(0), target: fn(1) }] as const,
    },
    { name: 'sub', rows: [exit], section: '.text' },
  ];
  const spec = makeSpec(seeds, { programs: [makeProgram('main', 0, { type })] });
  const functions = spec.functions.map((each, index) => ({
    ...each,
    funcInfo: [{ insn: at(0), type: types[index] as TypeId }],
  }));
  return { ...spec, functions, btf };
}

test('marked context arguments get a type that old kernels know', (t) => {
  const { btf, main, sub } = markedTypes();
  const spec = callingSub(btf, [main, sub], BPF_PROG_TYPE.XDP);
  const same = imageOf(spec);
  t.is(same.btf, btf);
  t.deepEqual(
    same.funcInfo.map((record) => record.type),
    [main, sub],
  );
  const fixed = imageOf(spec, 'arg-ctx-tag');
  const [first, second] = fixed.funcInfo;
  t.is(first?.type, main);
  t.not(second?.type, sub);
  const types = fixed.btf as Btf;
  t.is(types.base, undefined);
  const func = types.type(second?.type as TypeId);
  const proto = func.kind === 'func' ? types.type(func.proto) : undefined;
  if (proto?.kind !== 'func-proto') return t.fail('it is no function');
  t.is(types.nameOf(func.id), 'sub');
  t.deepEqual(
    proto.params.map((param) => typeToString(types, param.type)),
    ['struct xdp_md *', 'struct xdp_md *', 'int'],
  );
  // The one that was right before keeps its own type; all old ids stay.
  t.is(proto.params[1]?.type, 4 as TypeId);
  t.is(types.nameOf(sub), 'sub');
  t.not(proto.params[0]?.type, 4 as TypeId);
});

test('static functions, and programs without a named context, are left alone', (t) => {
  const fixed = markedTypes('static');
  const spec = callingSub(fixed.btf, [fixed.main, fixed.sub], BPF_PROG_TYPE.XDP);
  t.is(imageOf(spec, 'arg-ctx-tag').btf, fixed.btf);
  const marked = markedTypes();
  const tracing = callingSub(marked.btf, [marked.main, marked.sub], BPF_PROG_TYPE.TRACING);
  t.is(imageOf(tracing, 'arg-ctx-tag').btf, marked.btf);
});

test('hidden functions are static in the types', (t) => {
  const { btf, main, sub } = markedTypes();
  const spec = callingSub(btf, [main, sub], BPF_PROG_TYPE.XDP);
  t.is(withHiddenStatic(spec).btf, btf);
  const functions = spec.functions.map((each) => ({
    ...each,
    ...({ binding: 'global', hidden: each.name === 'sub' } as const),
  }));
  const hidden = withHiddenStatic({ ...spec, functions });
  const linkageOf = (id: TypeId) => {
    const type = hidden.btf?.type(id);
    return type?.kind === 'func' ? type.linkage : undefined;
  };
  t.is(linkageOf(sub), 'static');
  t.is(linkageOf(main), 'global');
  t.is(btf.vlenOf(sub), 1, 'the object keeps its own');
});

/** `main` with the tag of an exception callback. */
function throwing(tags: readonly string[], hidden = false): ObjectSpec {
  const builder = new BtfBuilder();
  const proto = builder.add({ kind: 'func-proto', returns: 0 as TypeId, params: [] });
  const target = builder.add({ kind: 'func', name: 'main', proto, linkage: 'global' });
  for (const tag of tags) {
    builder.add({ kind: 'decl-tag', name: `exception_callback:${tag}`, target });
  }
  const seeds = [
    { name: 'main', rows: [exit], section: 'xdp' },
    { name: 'unused', rows: [nop, exit], section: '.text' },
    { name: 'caught', rows: [nop, nop, exit], section: '.text', sectionOffset: 2 },
  ];
  const spec = makeSpec(seeds, { programs: [makeProgram('main', 0)] });
  const functions = spec.functions.map((each) => ({
    ...each,
    ...({ binding: 'global', hidden } as const),
  }));
  return { ...spec, functions, btf: parseBtf(builder.finish()) };
}

test('the function for exceptions is appended though nothing calls it', (t) => {
  const image = imageOf(throwing(['caught']));
  t.deepEqual(
    image.functions.map(({ name, start }) => [name, start]),
    [
      ['main', at(0)],
      ['caught', at(1)],
    ],
  );
});

for (const [title, tags, hidden, message] of [
  ['no such function', ['gone'], false, /'gone': the object has no such function/],
  ['two of them', ['caught', 'unused'], false, /the program names several/],
  ['a hidden one', ['caught'], true, /must be a global function that is not hidden/],
] as const) {
  test(`refused: exceptions, ${title}`, (t) => {
    t.throws(() => imageOf(throwing(tags, hidden)), { instanceOf: BpfError, message });
  });
}

test('a map that is not made is poisoned as libbpf does', (t) => {
  const seeds = [
    {
      ...{ name: 'main', rows: [...wide(1), exit], section: 'xdp' },
      relocations: [{ kind: 'map', insn: at(0), map: map(1) }] as const,
    },
  ];
  const maps = [makeMap('first'), makeMap('second', { autocreate: false })];
  const image = imageOf(makeSpec(seeds, { maps, programs: [makeProgram('main', 0)] }));
  t.deepEqual([...image.insns.code], [0x85, 0x85, 0x95]);
  t.deepEqual([...image.insns.imm], [2_001_000_001, 2_001_000_001, 0]);
  t.deepEqual(image.slots, []);
  t.deepEqual(image.poisoned, [{ insn: at(0), reason: "map 'second' is not made" }]);
});

test('jump tables become slots whose targets move with their function', (t) => {
  const jumps = { kind: 'jump-table', insn: at(1), targets: [at(0), at(3)], offset: 8 } as const;
  const seeds = [
    {
      ...{ name: 'main', rows: [far, nop, exit], section: 'xdp' },
      relocations: [{ kind: 'call', insn: at(0), target: fn(1) }] as const,
    },
    { name: 'sub', rows: [nop, ...wide(1), exit], section: '.text', relocations: [jumps] },
  ];
  const image = imageOf(makeSpec(seeds, { programs: [makeProgram('main', 0)] }));
  t.deepEqual(image.slots, [
    { kind: 'jump-table', insn: at(4), targets: [at(3), at(6)], offset: 8 },
  ]);
  t.is(image.insns.src[4], 2);
  t.is(image.insns.imm[5], 8);
});

const arena = (pages: number, size: number) =>
  makeMap('arena', {
    type: BPF_MAP_TYPE.ARENA,
    maxEntries: pages,
    data: {
      ...{ section: '.addr_space.1', kind: 'arena', variables: [] },
      contents: new Uint8Array(size),
    },
  });

test('variables of an arena lie on its last pages', (t) => {
  const host = { pageSize: 4096, fullRange: true };
  t.is(arenaDataOffset(arena(10, 1), host), 9 * 4096);
  t.is(arenaDataOffset(arena(10, 4096), host), 9 * 4096);
  t.is(arenaDataOffset(arena(10, 4097), host), 8 * 4096);
  t.is(arenaDataOffset(arena(10, 4097), { ...host, fullRange: false }), 0);
  t.is(arenaDataOffset(makeMap('array'), host), 0);
  t.throws(() => arenaDataOffset(arena(1, 4097), host), {
    message: 'the arena has 4096 bytes, its variables need 8192; raise max_entries (in pages)',
  });
  const seeds = [
    {
      ...{ name: 'main', rows: [...wide(1), exit], section: 'xdp' },
      relocations: [{ kind: 'map-value', insn: at(0), map: map(0), offset: 4 }] as const,
    },
  ];
  const spec = makeSpec(seeds, { maps: [arena(4, 8)], programs: [makeProgram('main', 0)] });
  t.is(imageOf(spec).insns.imm[1], 3 * 4096 + 4);
  t.is(imageOf(spec, 'full-range-imm64').insns.imm[1], 4);
});
