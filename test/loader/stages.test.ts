import test from 'ava';
import { BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { BpfError } from '../../src/errors.ts';
import { loadObject, loadPrepared } from '../../src/loader/load.ts';
import { prepareObject } from '../../src/loader/prepare.ts';
import type { ExternSpec, KconfigPlace, MapSpec, ObjectSpec } from '../../src/object/spec.ts';
import { VmHost } from '../../src/vm/host.ts';
import { at, exit, fn, makeMap, makeProgram, makeSpec, map, wide } from '../relocs/specs.ts';
import { RecordingBackend } from './recording-backend.ts';

const main = { name: 'main', rows: [exit], section: 'xdp' };

function withMaps(maps: readonly MapSpec[], more: Partial<ObjectSpec> = {}): ObjectSpec {
  return makeSpec([main], { maps, programs: [makeProgram('main', 0)], ...more });
}

test('an object is prepared, looked at, and loaded later', (t) => {
  const backend = new RecordingBackend();
  const prepared = prepareObject(withMaps([makeMap('counts')]), { machine: backend });
  t.is(prepared.images[0]?.insns.length, 1);
  t.deepEqual(backend.calls, [], 'preparing makes nothing');
  loadPrepared(prepared, { backend }).close();
  t.deepEqual(backend.calls, ['create counts', 'load main', 'close main', 'close counts']);
});

test('maps with autocreate off are not made, and programs get no slot for them', (t) => {
  const seeds = [
    {
      ...{ ...main, rows: [...wide(1), exit] },
      relocations: [{ kind: 'map', insn: at(0), map: map(0) }] as const,
    },
  ];
  const maps = [makeMap('off', { autocreate: false }), makeMap('on')];
  const spec = makeSpec(seeds, { maps, programs: [makeProgram('main', 0)] });
  const backend = new RecordingBackend();
  using object = loadObject(spec, { backend });
  t.deepEqual(backend.calls, ['create on', 'load main']);
  t.deepEqual([...object.maps.keys()], ['on']);
  t.is(object.mapList[0], undefined);
  t.throws(() => object.map('off'), {
    message: "map 'off' was not made; it needs autocreate to be on",
  });
  t.is(object.programs[0]?.image.poisoned.length, 1);
});

test('a slot for a map that is not made is refused', (t) => {
  const maps = [
    makeMap('outer', {
      ...{ type: BPF_MAP_TYPE.ARRAY_OF_MAPS, inner: makeMap('template') },
      values: [{ kind: 'map', index: 0, map: map(1) }],
    }),
    makeMap('inner', { autocreate: false }),
  ];
  const backend = new RecordingBackend();
  t.throws(() => loadObject(withMaps(maps), { backend }), {
    message: "slot 0 of map 'outer' wants a map that the object does not have",
  });
  t.is(backend.open.size, 0);
});

const kconfig: KconfigPlace = {
  ...{ map: map(0), offset: 0, size: 4, form: 'int', signed: false },
};

test('configuration values are written before the map is frozen', (t) => {
  const wanted: ExternSpec = {
    ...{ name: 'CONFIG_HZ', kind: 'kconfig', weak: false, type: undefined, kconfig },
  };
  const contents = new Uint8Array(4);
  const data = { section: '.kconfig', kind: 'kconfig', variables: [], contents } as const;
  const spec = withMaps([makeMap('.kconfig', { valueSize: 4, data })], { externs: [wanted] });
  const backend = new RecordingBackend(undefined, { host: { kconfig: 'CONFIG_HZ=250' } });
  loadObject(spec, { backend }).close();
  const [create, update, freeze] = backend.calls;
  t.is(create, 'create .kconfig');
  t.is(update, 'update .kconfig 00000000 fa000000');
  t.is(freeze, 'freeze .kconfig');
  const given = new RecordingBackend(undefined, { host: { kconfig: 'CONFIG_HZ=250' } });
  loadObject(spec, { backend: given, kconfig: 'CONFIG_HZ=100' }).close();
  t.is(given.calls[1], 'update .kconfig 00000000 64000000');
  t.true(
    spec.maps[0]?.data?.contents.every((byte) => byte === 0),
    'the spec stays as it is',
  );
});

test('variables of an arena are written at its end', (t) => {
  const variables = [
    { name: 'number', offset: 2, size: 1, type: undefined, binding: 'global' } as const,
  ];
  const contents = Uint8Array.of(1, 2, 3);
  const data = { section: '.addr_space.1', kind: 'arena', variables, contents } as const;
  const arena = makeMap('arena', { type: BPF_MAP_TYPE.ARENA, keySize: 0, maxEntries: 3, data });
  const backend = new RecordingBackend();
  loadObject(withMaps([arena]), { backend }).close();
  t.is(backend.calls[1], 'write arena 8192 010203');
  const old = new RecordingBackend(undefined, { host: { lacks: ['full-range-imm64'] } });
  loadObject(withMaps([arena]), { backend: old }).close();
  t.is(old.calls[1], 'write arena 0 010203');
});

const pinned = makeMap('counts', { pinning: 'by-name', maxEntries: 4 });

test('a map is pinned by its name, stays, and is used by the next object', (t) => {
  const backend = new RecordingBackend();
  loadObject(withMaps([pinned]), { backend, pinRoot: '/pins/' }).close();
  t.deepEqual(backend.calls, [
    ...['create counts', 'pin /pins/counts', 'load main', 'close main', 'close counts'],
  ]);
  backend.calls.length = 0;
  loadObject(withMaps([pinned]), { backend, pinRoot: '/pins' }).close();
  t.deepEqual(backend.calls, ['open /pins/counts', 'load main', 'close main', 'close counts']);
});

test('a pinned data section keeps its contents, a map of maps its slots', (t) => {
  const contents = Uint8Array.of(1);
  const data = { section: '.data', kind: 'data', contents, variables: [] } as const;
  const inner = makeMap('template');
  const maps = [
    makeMap('values', { valueSize: 1, data, pinning: 'by-name' }),
    makeMap('outer', {
      ...{ type: BPF_MAP_TYPE.ARRAY_OF_MAPS, inner, pinning: 'by-name' },
      values: [{ kind: 'map', index: 0, map: map(2) }],
    }),
    makeMap('plain'),
  ];
  const backend = new RecordingBackend();
  loadObject(withMaps(maps), { backend }).close();
  t.true(backend.calls.includes('update values 00000000 01'));
  t.true(backend.calls.includes('set outer 00000000 plain'));
  backend.calls.length = 0;
  loadObject(withMaps(maps), { backend }).close();
  t.false(backend.calls.some((call) => call.startsWith('update') || call.startsWith('set')));
});

test('whatever fails, what was pinned is unpinned and what was there stays', (t) => {
  const maps = [pinned, makeMap('other', { pinning: 'by-name' }), makeMap('last')];
  for (const step of ['create other', 'pin /sys/fs/bpf/other', 'create last', 'load main']) {
    const backend = new RecordingBackend((call) => call === step);
    const before = new RecordingBackend();
    loadObject(withMaps([pinned]), { backend: before }).close();
    const there = before.pins.paths.get('/sys/fs/bpf/counts');
    if (there === undefined) return t.fail('nothing is pinned');
    t.throws(() => loadObject(withMaps(maps), { backend }), { instanceOf: BpfError });
    t.deepEqual([...backend.pins.paths.keys()], [], step);
    backend.pins.paths.set('/sys/fs/bpf/counts', there);
    t.throws(() => loadObject(withMaps(maps), { backend }), { instanceOf: BpfError });
    t.deepEqual([...backend.pins.paths.keys()], ['/sys/fs/bpf/counts'], step);
    t.deepEqual([...backend.open], [], step);
  }
});

test('a pinned map of another kind is refused, both definitions side by side', (t) => {
  const backend = new RecordingBackend();
  loadObject(withMaps([pinned]), { backend }).close();
  const other = makeMap('counts', {
    ...{ type: BPF_MAP_TYPE.HASH, pinning: 'by-name', maxEntries: 5, flags: 1 },
  });
  const error = t.throws(() => loadObject(withMaps([other]), { backend }), {
    instanceOf: BpfError,
  });
  t.is(error?.code, 'pinned-map-differs');
  t.is(
    error?.message,
    [
      "map 'counts': the map at '/sys/fs/bpf/counts' is not one like 'counts'; change the definition, or remove what is there:",
      '              object              pinned',
      '  type        hash                array  (differs)',
      '  key size    4                   4',
      '  value size  8                   8',
      '  max entries 5                   4  (differs)',
      '  flags       0x1                 0x0  (differs)',
      '  map extra   0x0                 0x0',
    ].join('\n'),
  );
  t.is(backend.open.size, 0);
});

for (const name of ['../../etc/passwd', 'a/b', '', '.', 'a\0b', 'x'.repeat(300)]) {
  test(`a name that is no file's is not pinned: ${JSON.stringify(name).slice(0, 20)}`, (t) => {
    const backend = new RecordingBackend();
    const spec = withMaps([makeMap(name, { pinning: 'by-name' })]);
    const error = t.throws(() => loadObject(spec, { backend }), { instanceOf: BpfError });
    t.is(error?.code, 'pin-name');
    t.deepEqual(backend.calls, []);
  });
}

/** An object with a struct of one callback, and a kernel that knows it. */
function callbacks() {
  const builder = new BtfBuilder();
  const proto = builder.add({ kind: 'func-proto', returns: 0 as never, params: [] });
  const pointer = builder.add({ kind: 'ptr', target: proto });
  const members = [{ name: 'call', type: pointer, bitOffset: 0 }];
  const type = builder.add({ kind: 'struct', name: 'ops', size: 8, members });
  const data = [{ name: 'data', type, bitOffset: 64 }];
  builder.add({ kind: 'struct', name: 'bpf_struct_ops_ops', size: 16, members: data });
  const btf = parseBtf(builder.finish());
  const structOps = {
    ...{ section: '.struct_ops', autocreate: true, link: false, type },
    contents: new Uint8Array(8),
    functions: [{ member: 0, function: fn(0) }],
  };
  const ops = { type: BPF_PROG_TYPE.STRUCT_OPS, section: 'struct_ops', autoload: false };
  const spec = makeSpec([main], {
    maps: [makeMap('ops', { type: BPF_MAP_TYPE.STRUCT_OPS, structOps })],
    programs: [makeProgram('main', 0, ops)],
  });
  return { spec: { ...spec, btf }, btf };
}

test('structs of callbacks: programs follow their map, registering names them', (t) => {
  const { spec, btf } = callbacks();
  const backend = new RecordingBackend(undefined, { btf });
  const object = loadObject(spec, { backend });
  t.is(backend.maps[0]?.valueSize, 16, "the value is the kernel's struct around it");
  const registration = object.registerStructOps('ops');
  t.is(backend.calls.at(-1), `set ops ${'00'.repeat(16)} 8:main`);
  registration.close();
  object.close();
  t.is(backend.open.size, 0);
  t.throws(() => loadObject(spec, { backend }).registerStructOps('none'), {
    message: "the object has no map 'none'; it has ops",
  });
});

test('only structs of callbacks are registered', (t) => {
  const backend = new RecordingBackend();
  using object = loadObject(withMaps([makeMap('counts')]), { backend });
  t.throws(() => object.registerStructOps('counts'), {
    message: "map 'counts' is no struct of callbacks (struct_ops)",
  });
});

test('a struct whose map is not made takes its programs along', (t) => {
  const { spec, btf } = callbacks();
  const maps = spec.maps.map((each) => ({ ...each, autocreate: false }));
  const backend = new RecordingBackend(undefined, { btf });
  const programs = spec.programs.map((each) => ({ ...each, autoload: true }));
  loadObject({ ...spec, maps, programs }, { backend }).close();
  t.deepEqual(backend.calls, []);
});

test('module types are asked for once in a preparation, and only where they matter', (t) => {
  const { btf } = callbacks();
  let asked = 0;
  class Host extends VmHost {
    override modules() {
      asked++;
      return [];
    }
  }
  const machine = { pageSize: 4096, targetBtf: () => btf, host: new Host() };
  prepareObject(withMaps([]), { machine });
  t.is(asked, 0);
  const externs = ['a', 'b', 'c'].map(
    (name): ExternSpec => ({ name, kind: 'kfunc', weak: true, type: undefined }),
  );
  prepareObject(withMaps([], { externs }), { machine });
  t.is(asked, 1);
});
