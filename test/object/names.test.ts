import test from 'ava';
import { cutName, dataMapName, objectName } from '../../src/object/names.ts';

const objects: readonly (readonly [string, string])[] = [
  ['xdp.bpf.o', 'xdp'],
  ['/some/dir.d/xdp_counter.bpf.o', 'xdp_counter'],
  ['a-b c.o', 'a_b_c'],
  ['a_name_that_is_too_long.o', 'a_name_that_is_'],
  ['.hidden', ''],
  ['', ''],
  ['é.o', '_'],
];

for (const [path, name] of objects) {
  test(`object name of ${JSON.stringify(path)}`, (t) => t.is(objectName(path), name));
}

const maps: readonly (readonly [string, string, string])[] = [
  ['my_object_name', '.rodata', 'my_objec.rodata'],
  ['my_object_name', '.data', 'my_objec.data'],
  ['my_object_name', '.bss', 'my_objec.bss'],
  ['my_object_name', '.kconfig', 'my_obje.kconfig'],
  ['my_object_name', '.rodata.abracadabra', '.rodata.abracad'],
  ['my_object_name', '.data.x', '.data.x'],
  ['short', '.bss', 'short.bss'],
  ['short', '.data.a-b', '.data.a_b'],
];

for (const [object, section, name] of maps) {
  test(`map of ${section} in ${object}`, (t) => t.is(dataMapName(object, section), name));
}

test('names are cut to 15 bytes', (t) => {
  t.is(cutName('exactly_fifteen'), 'exactly_fifteen');
  t.is(cutName('exactly_fifteen_and_more'), 'exactly_fifteen');
  t.is(cutName('ééééééééé'), 'ééééééé\udcc3');
});
