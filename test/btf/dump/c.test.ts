import test from 'ava';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { CDump, dumpC, dumpTypeC, emitTypeDecl } from '../../../src/btf/dump/c.ts';
import { BtfBuilder } from '../../../src/btf/encode.ts';
import { BTF_KIND, type TypeId } from '../../../src/btf/types.ts';
import { decodeText } from '../../../src/bytes/text.ts';
import { dataFile, throwsBpfError } from '../support.ts';

const layouts = parseBtf(dataFile('layouts.btf'));

function idOf(name: string, kind?: (typeof BTF_KIND)[keyof typeof BTF_KIND]): TypeId {
  const id = layouts.find(name, kind);
  if (id === undefined) throw new Error(`no ${name}`);
  return id;
}

function built(add: (builder: BtfBuilder) => void): Btf {
  const builder = new BtfBuilder();
  add(builder);
  return parseBtf(builder.finish());
}

for (const [file, golden] of [
  ['shapes.el.btf', 'shapes'],
  ['shapes.eb.btf', 'shapes'],
  ['layouts.btf', 'layouts'],
] as const) {
  test(`${file} as C, as bpftool prints it`, (t) => {
    const btf = parseBtf(dataFile(file));
    t.is(dumpC(btf), decodeText(dataFile(`${golden}.h`)));
    t.is(dumpC(btf, { unsorted: true }), decodeText(dataFile(`${golden}.unsorted.h`)));
  });
}

test('some types of a BTF come with what they need, without the kernel functions', (t) => {
  const text = dumpC(layouts, { roots: [idOf('harmless'), idOf('over_aligned')] });
  const [, body = ''] = text.split('#endif\n#endif\n\n');
  const expected = `typedef unsigned int u32;

struct harmless {
	u32 a;
	u32 b;
};

struct over_aligned {
	u32 a;
	long: 64;
	long: 64;
	long: 64;
};

`;
  t.is(body.split('#ifndef')[0], expected);
  t.true(text.endsWith('#endif /* __VMLINUX_H__ */\n'));
  throwsBpfError(t, () => dumpC(layouts, { roots: [99999 as TypeId] }), 'btf-no-type');
});

test('a type is defined once, with all that it needs', (t) => {
  const dump = new CDump(layouts);
  const first = dump.define(idOf('first', BTF_KIND.STRUCT));
  t.regex(first, /^struct forward;\n\nunion forward_union;\n\nstruct second;\n\nstruct first \{/);
  t.is(dump.define(idOf('first', BTF_KIND.STRUCT)), '');
  const second = dump.define(idOf('second', BTF_KIND.STRUCT));
  t.is(second, 'struct second {\n\tstruct first first;\n\tstruct first *other;\n};\n\n');
  t.is(dumpTypeC(layouts, idOf('row_t')), 'typedef int row_t[4];\n\n');
});

/** Members of `struct pointers`: how each is declared with another name. */
const declarations: readonly (readonly [member: string, declaration: string])[] = [
  ['plain', 'int (*x)(void)'],
  ['table', 'void (*x[3])(u32, const char *)'],
  ['returns_pointer', 'int (* (*x)(int))(long)'],
  ['returns_array', 'int (* (*x)(void))[5]'],
  ['callback', 'callback_t x'],
  ['rows', 'row_t x[2]'],
  ['array_pointer', 'int (*x)[4]'],
  ['deep', 'int *(*(*x)[2])[3]'],
  ['matrix', 'char x[2][3][4]'],
  ['names', 'const char * const x[2]'],
  ['qualified', 'volatile const int * restrict x'],
  ['tower', 'char * const * volatile *x'],
  ['tagged', 'int __attribute__((btf_type_tag("user"))) *x'],
  ['with_struct', 'void (*x)(struct {\n\tint local;\n} *)'],
  ['big', 'unsigned __int128 x'],
  ['flag', '_Bool x'],
  ['later', 'enum declared_only *x'],
];

test('declarations around a name', (t) => {
  const pointers = layouts.type(idOf('pointers'));
  const members = pointers.kind === 'struct' ? pointers.members : [];
  for (const [name, declaration] of declarations) {
    const member = members.find((each) => each.name === name);
    t.is(emitTypeDecl(layouts, member?.type ?? (0 as TypeId), { name: 'x' }), declaration);
  }
});

test('declarations without a name, without modifiers, and as casts', (t) => {
  const pointers = layouts.type(idOf('pointers'));
  const typeOf = (name: string): TypeId => {
    const members = pointers.kind === 'struct' ? pointers.members : [];
    return members.find((each) => each.name === name)?.type ?? (0 as TypeId);
  };
  const dump = new CDump(layouts);
  t.is(dump.declare(0 as TypeId), 'void');
  t.is(dump.declare(typeOf('array_pointer')), 'int(*)[4]');
  t.is(dump.declare(typeOf('matrix')), 'char[2][3][4]');
  t.is(dump.declare(typeOf('qualified'), { stripModifiers: true }), 'int *');
  t.is(dump.declare(typeOf('tagged'), { name: 'p', stripModifiers: true }), 'int *p');
  const body = dump.declare(typeOf('with_struct'), { indent: 2 });
  t.is(body, 'void (*)(struct {\n\t\t\tint local;\n\t\t} *)');
  t.is(dump.cast(typeOf('with_struct')), 'void (*)(struct *)');
});

test('names of the compiler: va_list, and vector types that clang lacks', (t) => {
  const btf = built((builder) => {
    const poly = builder.add({ kind: 'int', name: '__Poly8_t', size: 1 });
    builder.add({ kind: 'typedef', name: 'poly8_t', target: poly });
    builder.add({ kind: 'typedef', name: '__gnuc_va_list', target: 0 as TypeId });
    const list = builder.add({ kind: 'typedef', name: '__builtin_va_list', target: poly });
    builder.add({ kind: 'typedef', name: 'va_list', target: list });
  });
  const dump = new CDump(btf);
  t.is(
    dump.define(2 as TypeId),
    'typedef unsigned char __Poly8_t;\n\ntypedef __Poly8_t poly8_t;\n\n',
  );
  t.is(dump.define(3 as TypeId), 'typedef __builtin_va_list __gnuc_va_list;\n\n');
  t.is(dump.define(5 as TypeId), 'typedef __builtin_va_list va_list;\n\n');
});

test('names made unique are cut where libbpf cuts them', (t) => {
  const long = 'n'.repeat(252);
  const btf = built((builder) => {
    for (let i = 0; i < 2; i++) builder.add({ kind: 'struct', name: long, size: 0, members: [] });
  });
  t.is(dumpTypeC(btf, 1 as TypeId), `struct ${long} {};\n\n`);
  const dump = new CDump(btf);
  dump.define(1 as TypeId);
  t.is(dump.define(2 as TypeId), `struct ${long}___ {};\n\n`);
});

test('a split BTF is dumped with its base', (t) => {
  const builder = new BtfBuilder({ base: layouts });
  const target = idOf('harmless');
  const pointer = builder.add({ kind: 'ptr', target });
  const members = [{ name: 'p', type: pointer, bitOffset: 0 }];
  builder.add({ kind: 'struct', name: 'harmless', size: 8, members });
  const split = parseBtf(builder.finish(), { base: layouts });
  const text = dumpC(split);
  t.true(text.includes('struct harmless {\n\tu32 a;\n\tu32 b;\n};\n'));
  t.true(text.includes('struct harmless___2 {\n\tstruct harmless *p;\n};\n'));
});
