import test from 'ava';
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import { BpfError } from '../../src/errors.ts';
import { type LoadOptions, loadObject } from '../../src/loader/load.ts';
import type { LoadedObject } from '../../src/loader/loaded.ts';
import { prepareObject } from '../../src/loader/prepare.ts';
import type { DataSection, MapSpec, ObjectSpec } from '../../src/object/spec.ts';
import { exit, fn, makeMap, makeProgram, makeSpec, map } from '../relocs/specs.ts';
import { RecordingBackend } from './recording-backend.ts';

const variable = (name: string, offset: number, size: number) =>
  ({ name, offset, size, type: undefined, binding: 'global' }) as const;

function dataMap(
  section: string,
  kind: DataSection['kind'],
  contents: readonly number[],
  variables: DataSection['variables'] = [],
): MapSpec {
  return makeMap(section, {
    valueSize: contents.length,
    data: { section, kind, contents: Uint8Array.from(contents), variables },
  });
}

const functions = [
  { name: 'first', rows: [exit], section: 'xdp' },
  { name: 'second', rows: [exit], section: 'xdp', sectionOffset: 1 },
];

/** Something of everything. */
function wholeSpec(): ObjectSpec {
  return makeSpec(functions, {
    programs: [makeProgram('first', 0), makeProgram('second', 1)],
    maps: [
      makeMap('outer', {
        type: BPF_MAP_TYPE.ARRAY_OF_MAPS,
        maxEntries: 4,
        inner: makeMap('outer.inner'),
        values: [{ kind: 'map', index: 2, map: map(1) }],
      }),
      makeMap('counts'),
      makeMap('jumps', {
        type: BPF_MAP_TYPE.PROG_ARRAY,
        maxEntries: 8,
        values: [{ kind: 'program', index: 5, program: fn(1) }],
      }),
      dataMap('.data', 'data', [1, 2, 3, 4], [variable('low', 0, 2), variable('high', 2, 2)]),
      dataMap('.rodata', 'rodata', [9, 9], [variable('limit', 0, 2)]),
      dataMap('.bss', 'bss', [0, 0, 0, 0], [variable('zero', 0, 4)]),
    ],
  });
}

test('maps are created in order and filled, programs loaded, slots set, all closed at the end', (t) => {
  const backend = new RecordingBackend();
  const object = loadObject(wholeSpec(), { backend });
  t.deepEqual(backend.calls, [
    'create outer.inner',
    'create outer of outer.inner',
    'close outer.inner',
    'create counts',
    'create jumps',
    'create .data',
    'update .data 00000000 01020304',
    'create .rodata',
    'update .rodata 00000000 0909',
    'freeze .rodata',
    'create .bss',
    'set outer 02000000 counts',
    'load first',
    'load second',
    'set jumps 05000000 second',
  ]);
  backend.calls.length = 0;
  object.close();
  object.close();
  t.deepEqual(
    backend.calls,
    ['second', 'first', '.bss', '.rodata', '.data', 'jumps', 'counts', 'outer'].map(
      (name) => `close ${name}`,
    ),
  );
  t.is(backend.open.size, 0);
});

test('whatever fails, nothing stays open and the error is the one that happened', (t) => {
  const whole = new RecordingBackend();
  loadObject(wholeSpec(), { backend: whole });
  const steps = [...whole.calls];
  for (const [index, step] of steps.entries()) {
    if (step.startsWith('close')) continue;
    const backend = new RecordingBackend((call) => call === step);
    const error = t.throws(() => loadObject(wholeSpec(), { backend }), { instanceOf: BpfError });
    t.true(error?.message.endsWith(`${step}: EPERM (1)`), `${step}: ${error?.message}`);
    t.deepEqual([...backend.open], [], `step ${index}: ${step}`);
  }
});

test('a failure to close does not keep the rest open nor hide the first error', (t) => {
  const backend = new RecordingBackend(
    (call) => call.startsWith('close') || call === 'load second',
  );
  const error = t.throws(() => loadObject(wholeSpec(), { backend }), { instanceOf: BpfError });
  t.is(error?.message, "program 'second': load second: EPERM (1)");
  t.is(backend.open.size, 0);
});

test("a caller's callback that throws closes everything", (t) => {
  const backend = new RecordingBackend();
  const broken = new Error('mine');
  const onMaps: LoadOptions['onMaps'] = (maps) => {
    t.deepEqual([...maps.keys()], ['outer', 'counts', 'jumps', '.data', '.rodata', '.bss']);
    throw broken;
  };
  t.is(
    t.throws(() => loadObject(wholeSpec(), { backend, onMaps })),
    broken,
  );
  t.is(backend.open.size, 0);
  t.false(backend.calls.some((call) => call.startsWith('load')));
});

test('maps and programs are found by name, with what there is in the message', (t) => {
  const backend = new RecordingBackend();
  const autoload: LoadOptions['autoload'] = (program) => program.name === 'first';
  const spec = { ...wholeSpec(), maps: wholeSpec().maps.slice(3) };
  using object = loadObject(spec, { backend, autoload });
  t.is(object.map('.data').name, '.data');
  t.is(object.program('first').name, 'first');
  const messages: readonly [() => unknown, string][] = [
    [() => object.map('counts'), "the object has no map 'counts'; it has .data, .rodata, .bss"],
    [() => object.program('second'), "program 'second' was not loaded; it needs autoload to be on"],
    [() => object.program('third'), "the object has no program 'third'; it has first, second"],
    [
      () => object.global('nothing'),
      "the object has no global variable 'nothing'; it has low, high, limit, zero",
    ],
  ];
  for (const [work, message] of messages) t.throws(work, { instanceOf: BpfError, message });
});

test('globals are live bytes', (t) => {
  let object: LoadedObject;
  {
    using opened = loadObject(wholeSpec(), { backend: new RecordingBackend() });
    const high = opened.global('high');
    t.deepEqual([...high.bytes], [3, 4]);
    t.false(high.readonly);
    t.true(opened.global('limit').readonly);
    high.bytes[0] = 7;
    t.deepEqual([...opened.map('.data').view()], [1, 2, 7, 4]);
    t.throws(() => opened.global('high', '.bss'), { instanceOf: BpfError });
    object = opened;
  }
  t.throws(() => object.global('high'), { message: 'the object was closed' });
});

test('a prog array whose program was not loaded is an error', (t) => {
  const backend = new RecordingBackend();
  const autoload: LoadOptions['autoload'] = (program) => program.name === 'first';
  t.throws(() => loadObject(wholeSpec(), { backend, autoload }), {
    instanceOf: BpfError,
    message: "slot 5 of map 'jumps' wants program 'second', which was not loaded",
  });
  t.is(backend.open.size, 0);
});

test('big-endian programs get their keys in their own byte order', (t) => {
  const backend = new RecordingBackend();
  loadObject({ ...wholeSpec(), littleEndian: false }, { backend }).close();
  t.true(backend.calls.includes('set outer 00000002 counts'));
});

test('an unknown section is an error unless its program is not to be loaded', (t) => {
  const odd = makeProgram('second', 1, { type: undefined, section: 'xdpp' });
  const spec = { ...makeSpec(functions), programs: [makeProgram('first', 0), odd] };
  t.throws(() => prepareObject(spec), {
    instanceOf: BpfError,
    message:
      "program 'second': section 'xdpp' gives no program type (did you mean 'xdp'?); rename it, set the type, or turn autoload off",
  });
  const { images } = prepareObject(spec, { autoload: (program) => program.name === 'first' });
  t.deepEqual(
    images.map((image) => image.name),
    ['first'],
  );
});
