import test from 'ava';
import { editMap, editProgram, setVariable } from '../../src/object/edit.ts';
import { openObject } from '../../src/object/open.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { fixture } from '../support/fixtures.ts';
import { errorOf } from './support.ts';

const spec = openObject(fixture('v3/globals'), { name: 'globals' });

function mapOf(of: ObjectSpec, name: string) {
  const map = of.maps.find((candidate) => candidate.name === name);
  if (map === undefined) throw new Error(`no map ${name}`);
  return map;
}

test('editMap changes one map of a copy', (t) => {
  const before = mapOf(spec, '.bss');
  const edited = editMap(spec, '.bss', { numaNode: 1, pinning: 'by-name' });
  t.like(mapOf(edited, '.bss'), { numaNode: 1, pinning: 'by-name', valueSize: before.valueSize });
  t.is(mapOf(spec, '.bss'), before);
  t.is(mapOf(edited, '.rodata.table'), mapOf(spec, '.rodata.table'));
  t.is(edited.functions, spec.functions);
});

test('a data section that grows is filled with zeros and loses its type', (t) => {
  const before = mapOf(spec, '.rodata.table');
  const grown = mapOf(editMap(spec, '.rodata.table', { valueSize: 100 }), '.rodata.table');
  t.is(grown.data?.contents.length, 100);
  t.deepEqual(grown.data?.contents.subarray(0, before.valueSize), before.data?.contents);
  t.is(grown.data?.contents[99], 0);
  t.is(grown.valueType, undefined);
  const cut = mapOf(editMap(spec, '.rodata.table', { valueSize: 4 }), '.rodata.table');
  t.deepEqual(cut.data?.contents, before.data?.contents.slice(0, 4));
});

test('editProgram changes one program of a copy', (t) => {
  const [first] = spec.programs;
  const name = first?.name ?? '';
  const edited = editProgram(spec, name, { autoload: false, attachTarget: 'eth0' });
  t.like(edited.programs[0], { name, autoload: false, attachTarget: 'eth0', type: first?.type });
  t.true(spec.programs[0]?.autoload);
});

test('setVariable changes the contents of a copy', (t) => {
  const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const before = mapOf(spec, '.data.limits').data?.contents.slice();
  const edited = setVariable(spec, 'threshold', value);
  const data = mapOf(edited, '.data.limits').data;
  const offset = data?.variables.find((variable) => variable.name === 'threshold')?.offset ?? -1;
  t.deepEqual(data?.contents.slice(offset, offset + 8), value);
  t.deepEqual(mapOf(spec, '.data.limits').data?.contents, before);
});

test('what is not there is an error that lists what is', (t) => {
  t.regex(errorOf(() => editMap(spec, 'nope', {})).message, /no map 'nope'.*'\.bss'/);
  t.regex(errorOf(() => editProgram(spec, 'nope', {})).message, /no program 'nope'/);
  const error = errorOf(() => setVariable(spec, '__proto__', new Uint8Array(4)));
  t.regex(error.message, /no variable '__proto__'.*'threshold'/);
  const size = errorOf(() => setVariable(spec, 'threshold', new Uint8Array(4)));
  t.deepEqual(size.detail, { code: 'variable-size', name: 'threshold', size: 8, given: 4 });
});

test('a name that several static variables have is ambiguous', (t) => {
  const maps = spec.maps.map((map) => {
    if (map.data === undefined) return map;
    const variable = {
      name: 'state',
      offset: 0,
      size: 1,
      type: undefined,
      binding: 'local',
    } as const;
    return { ...map, data: { ...map.data, variables: [variable] } };
  });
  const error = errorOf(() => setVariable({ ...spec, maps }, 'state', Uint8Array.of(1)));
  t.is(error.code, 'ambiguous-variable');
});
