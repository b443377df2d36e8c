import test from 'ava';
import { cloneProgram, editMap, editProgram, setVariable } from '../../src/object/edit.ts';
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

test('a data section that grows is filled with zeros', (t) => {
  const before = mapOf(spec, '.rodata.table');
  const grown = mapOf(editMap(spec, '.rodata.table', { valueSize: 100 }), '.rodata.table');
  t.is(grown.data?.contents.length, 100);
  t.deepEqual(grown.data?.contents.subarray(0, before.valueSize), before.data?.contents);
  t.is(grown.data?.contents[99], 0);
  const cut = mapOf(editMap(spec, '.rodata.table', { valueSize: 4 }), '.rodata.table');
  t.deepEqual(cut.data?.contents, before.data?.contents.slice(0, 4));
});

const sections = openObject(fixture('v3/data_sections'), { name: 'data_sections' });

test('an array at the end of a section grows with it, types and all', (t) => {
  for (const object of [sections, openObject(fixture('be/data_sections'))]) {
    const before = mapOf(object, '.data.custom');
    const edited = editMap(object, '.data.custom', { valueSize: 4 + 4 * 100 });
    const after = mapOf(edited, '.data.custom');
    t.is(after.valueType, before.valueType);
    const variable = after.data?.variables.find(({ name }) => name === 'custom_array');
    t.like(variable, { offset: 4, size: 400 });
    const btf = edited.btf;
    if (btf === undefined || after.valueType === undefined) return t.fail('no types');
    const section = btf.type(after.valueType);
    t.like(section, { kind: 'datasec', size: 404 });
    const last = section.kind === 'datasec' ? section.vars.at(-1) : undefined;
    t.like(last, { offset: 4, size: 400 });
    const type = btf.type(last?.type ?? (0 as never));
    t.like(type, { kind: 'var', name: 'custom_array', linkage: 'global', type: variable?.type });
    t.like(btf.type(variable?.type ?? (0 as never)), { kind: 'array', length: 100 });
    // Everything else stays, the old array included.
    t.is(btf.endId, (object.btf?.endId ?? 0) + 2);
    t.is(mapOf(object, '.data.custom'), before);
    t.is(mapOf(edited, '.data.fixed'), mapOf(object, '.data.fixed'));
  }
  return undefined;
});

test('a section that grows by part of an element, or has no array at its end, loses its type', (t) => {
  const typeAfter = (name: string, valueSize: number) =>
    mapOf(editMap(sections, name, { valueSize }), name).valueType;
  t.is(typeAfter('.data.custom', 4 + 4 * 3 + 1), undefined);
  t.is(typeAfter('.data.fixed', 400), undefined);
  t.is(typeAfter('.data.custom', 2), undefined);
  t.not(typeAfter('.data.custom', 8), undefined);
  t.not(typeAfter('.bss', 4 + 4 * 7), undefined);
});

test('cloneProgram gives the same code a second name', (t) => {
  const [first] = spec.programs;
  if (first === undefined) return t.fail('no program');
  const cloned = cloneProgram(spec, first.name, 'twin', { attachTarget: 'eth0', autoload: false });
  t.is(cloned.programs.length, spec.programs.length + 1);
  t.like(cloned.programs[1], {
    ...first,
    name: 'twin',
    attachTarget: 'eth0',
    autoload: false,
  });
  t.is(cloned.programs[0], first);
  t.is(errorOf(() => cloneProgram(spec, 'nobody', 'twin')).code, 'no-such-name');
  t.is(errorOf(() => cloneProgram(spec, first.name, first.name)).code, 'name-taken');
  t.is(errorOf(() => cloneProgram(spec, first.name, '')).code, 'name-taken');
  return undefined;
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
