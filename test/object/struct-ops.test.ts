import test from 'ava';
import { openObject } from '../../src/object/open.ts';
import { type BuildElf, type BuildRelocation, buildElf } from '../elf/elf-builder.ts';
import { fixture } from '../support/fixtures.ts';
import { BtfBuilder } from './btf-builder.ts';
import { codeSection, errorOf, exit } from './support.ts';

test('structs of callbacks are maps, with their functions by member', (t) => {
  const spec = openObject(fixture('v3/struct_ops_tcp'));
  const [plain, linked] = spec.maps;
  t.like(plain, {
    name: 'tsbpf_plain',
    type: 26,
    keySize: 4,
    valueSize: 48,
    maxEntries: 1,
    flags: 0,
  });
  t.like(linked, { name: 'tsbpf_linked', flags: 8192 });
  t.like(plain?.structOps, { section: '.struct_ops', autocreate: true, link: false });
  t.like(linked?.structOps, { section: '.struct_ops.link', autocreate: true, link: true });
  const functions = plain?.structOps?.functions.map(({ member, function: index }) => [
    member,
    spec.functions[index]?.name,
  ]);
  t.deepEqual(functions, [
    [1, 'own_cong_avoid'],
    [2, 'own_ssthresh'],
    [3, 'own_undo_cwnd'],
  ]);
  const name = new TextDecoder().decode(plain?.structOps?.contents.subarray(0, 11));
  t.is(name, 'tsbpf_plain');
  t.is(plain?.valueType, plain?.structOps?.type);
});

test('optional sections are not created by themselves', (t) => {
  const spec = openObject(fixture('be/struct_ops_optional'));
  t.deepEqual(
    spec.maps.map(({ name, structOps }) => [name, structOps?.section, structOps?.autocreate]),
    [
      ['tsbpf_always', '.struct_ops.link', true],
      ['tsbpf_optional', '.struct_ops', false],
      ['tsbpf_optional_link', '.struct_ops.link', false],
    ],
  );
});

/** One variable `v` of a struct with a number and a callback, one program of each kind. */
function object(
  type: (btf: BtfBuilder) => number,
  entries: readonly Omit<BuildRelocation, 'type'>[] = [],
  size = 16,
): BuildElf {
  const btf = new BtfBuilder();
  btf.int('int', 4);
  const variable = btf.variable('v', type(btf));
  btf.section('.struct_ops', 0, [[variable, 0, size]]);
  return {
    sections: [
      { name: '.struct_ops', flags: 3n, data: new Uint8Array(size) },
      { name: '.BTF', data: btf.bytes() },
      codeSection('struct_ops/f', [exit, exit]),
      codeSection('xdp', [exit]),
    ],
    symbols: [
      { name: 'v', type: 1, section: 1, size: BigInt(size) },
      { name: 'callback', type: 2, section: 3, size: 16n },
      { name: 'other', type: 2, section: 4, size: 8n },
      { name: 'label', section: 3, value: 8n },
    ],
    relocations: new Map([[1, entries.map((entry) => ({ ...entry, type: 2 }))]]),
  };
}

function ops(btf: BtfBuilder): number {
  const callback = btf.ptr(btf.funcProto(0));
  return btf.struct('ops', 16, [
    ['number', 1, 0],
    ['callback', callback, 8],
  ]);
}

function open(elf: BuildElf) {
  return openObject(buildElf(elf)).maps[0]?.structOps;
}

test('a relocation is a function in a member', (t) => {
  t.deepEqual(open(object(ops))?.functions, []);
  const functions = open(object(ops, [{ offset: 8n, symbol: 2 }]))?.functions;
  t.deepEqual(functions, [{ member: 1, function: 0 }] as never);
});

const refused: readonly (readonly [string, BuildElf, RegExp])[] = [
  ['a number', object(() => 1), /is int, expected a struct/],
  ['anonymous', object((btf) => btf.struct('', 4, [])), /without a name/],
  ['over the end', object((btf) => btf.struct('s', 24, [])), /takes 24 bytes at offset 0/],
  ['between members', object(ops, [{ offset: 4n, symbol: 2 }]), /no member at offset 4/],
  ['a number as callback', object(ops, [{ offset: 0n, symbol: 2 }]), /'number', which is int/],
  ['a label', object(ops, [{ offset: 8n, symbol: 4 }]), /where no function starts/],
  ['a variable', object(ops, [{ offset: 8n, symbol: 1 }]), /where no function starts/],
  [
    'an XDP program',
    object(ops, [{ offset: 8n, symbol: 3 }]),
    /'other' of section 'xdp' in member 'callback'/,
  ],
];

for (const [title, elf, words] of refused) {
  test(`refused struct of callbacks: ${title}`, (t) => {
    const error = errorOf(() => open(elf));
    t.is(error.code, 'struct-ops');
    t.regex(error.message, words);
  });
}

test('refused: a function outside all variables, a section without types', (t) => {
  const elf = object(ops, [{ offset: 20n, symbol: 2 }], 24);
  t.is(errorOf(() => open(elf)).code, 'struct-ops-relocation');
  const sections = [{ name: '?.struct_ops.link', flags: 3n, data: new Uint8Array(8) }];
  const error = errorOf(() => open({ sections }));
  t.is(error.code, 'struct-ops-without-types');
  t.regex(error.message, /'\?\.struct_ops\.link'.*-g/);
});

test('hostile names of variables, structs and members', (t) => {
  const names = ['__proto__', 'constructor', 'a\nb', '../../x', '\u001b[2J', 'x'.repeat(100_000)];
  for (const name of names) {
    const hostile = (btf: BtfBuilder) => {
      const callback = btf.ptr(btf.funcProto(0));
      return btf.struct(name, 16, [[name, callback, 8]]);
    };
    t.is(open(object(hostile, [{ offset: 8n, symbol: 2 }]))?.functions.length, 1);
    const { message } = errorOf(() => open(object(hostile, [{ offset: 8n, symbol: 3 }])));
    t.true(message.length < 2000, name.slice(0, 20));
    t.false(message.includes('\n') || message.includes('\u001b'));
  }
});
