import test from 'ava';
import { openObject } from '../../src/object/open.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { type BuildSymbol, buildElf } from '../elf/elf-builder.ts';
import { fixture } from '../support/fixtures.ts';
import { BtfBuilder } from './btf-builder.ts';
import { errorOf } from './support.ts';

const kconfig = openObject(fixture('v3/kconfig'), { name: 'kconfig' });

test('kconfig values are laid out by alignment, size and name', (t) => {
  t.deepEqual(
    kconfig.externs.map(({ name, weak, kconfig: place }) => [
      name,
      place?.offset,
      place?.size,
      `${place?.signed === true ? 'signed ' : ''}${place?.form}`,
      weak,
    ]),
    [
      ['CONFIG_ILLEGAL_POINTER_VALUE', 0, 8, 'int', false],
      ['CONFIG_TSBPF_NO_SUCH_NUMBER', 8, 8, 'int', true],
      ['CONFIG_HZ', 16, 4, 'signed int', false],
      ['CONFIG_TUN', 20, 4, 'tristate', false],
      ['LINUX_KERNEL_VERSION', 24, 4, 'signed int', false],
      ['CONFIG_NR_CPUS', 28, 2, 'signed int', false],
      ['CONFIG_BPF_SYSCALL', 30, 1, 'bool', false],
      ['CONFIG_CC_HAS_ASM_INLINE', 31, 1, 'char', false],
      ['CONFIG_TSBPF_NO_SUCH_OPTION', 32, 1, 'bool', true],
      ['LINUX_HAS_BPF_COOKIE', 33, 1, 'bool', false],
      ['LINUX_HAS_SYSCALL_WRAPPER', 34, 1, 'bool', false],
      ['CONFIG_DEFAULT_HOSTNAME', 35, 24, 'char-array', false],
    ],
  );
});

test('the map of .kconfig comes after those of data sections, with its types made right', (t) => {
  const index = kconfig.externs[0]?.kconfig?.map ?? -1;
  const map = kconfig.maps[index];
  t.is(index, kconfig.maps.length - 1);
  t.like(map, {
    name: '.kconfig',
    kernelName: 'kconfig.kconfig',
    flags: 128 | 1024,
    valueSize: 59,
  });
  t.deepEqual(map?.data?.contents, new Uint8Array(59));
  const section = kconfig.btf?.type(map?.valueType ?? (0 as never));
  if (section?.kind !== 'datasec') return t.fail('no DATASEC');
  t.is(section.size, 59);
  const byName = (rows: readonly (readonly [string, number])[]) =>
    rows.toSorted(([a], [b]) => (a < b ? -1 : 1));
  t.deepEqual(
    byName(section.vars.map(({ type, offset }) => [kconfig.btf?.nameOf(type) ?? '', offset])),
    byName(kconfig.externs.map(({ name, kconfig: place }) => [name, place?.offset ?? -1])),
  );
  return undefined;
});

test('kernel symbols with and without a type, kfuncs, by name', (t) => {
  const shape = ({ externs }: ObjectSpec) =>
    externs.map(({ name, kind, weak, type }) => [name, kind, weak, type !== undefined]);
  t.deepEqual(shape(openObject(fixture('v3/ksyms'))), [
    ['bpf_link_fops', 'ksym', false, false],
    ['bpf_prog_active', 'ksym', false, true],
    ['tsbpf_no_such_symbol', 'ksym', true, false],
    ['tsbpf_no_such_variable', 'ksym', true, true],
  ]);
  t.deepEqual(
    shape(openObject(fixture('v3/kfuncs'))).map(([name, kind, weak]) => [name, kind, weak]),
    [
      ['bpf_rcu_read_lock', 'kfunc', false],
      ['bpf_rcu_read_unlock', 'kfunc', false],
      ['bpf_task_acquire___own', 'kfunc', false],
      ['bpf_task_from_pid', 'kfunc', false],
      ['bpf_task_release', 'kfunc', false],
      ['tsbpf_no_such_kfunc', 'kfunc', true],
    ],
  );
});

interface Declared {
  readonly name: string;
  readonly define: (btf: BtfBuilder) => number;
  /** Left out: a variable. */
  readonly isFunction?: boolean;
  readonly noSymbol?: boolean;
}

/** An object with nothing but externs in one section. */
function declare(section: string, ...externs: readonly Declared[]): ObjectSpec {
  const btf = new BtfBuilder();
  btf.int('int', 4);
  const entries = externs.map(({ name, define, isFunction }) => {
    const type = define(btf);
    return [isFunction ? btf.func(name, type, 2) : btf.variable(name, type, 2), 0, 0] as const;
  });
  btf.section(section, 0, entries);
  const symbols: BuildSymbol[] = externs
    .filter(({ noSymbol }) => !noSymbol)
    .map(({ name }) => ({ name, section: 0 }));
  return openObject(buildElf({ sections: [{ name: '.BTF', data: btf.bytes() }], symbols }));
}

test('refused: types that no configuration has, functions, values without a symbol', (t) => {
  const cases: readonly (readonly [string, RegExp, Declared])[] = [
    ['kconfig-type', /a bool, an enum libbpf_tristate/, { name: 'x', define: (btf) => btf.ptr(1) }],
    ['kconfig-type', /struct s/, { name: 'x', define: (btf) => btf.struct('s', 4, []) }],
    ['kconfig-type', /int\[4\]|int \[4\]/, { name: 'x', define: (btf) => btf.array(1, 4) }],
    ['kconfig-type', /16|wide/, { name: 'x', define: (btf) => btf.int('wide', 16) }],
    ['kconfig-type', /enum/, { name: 'x', define: (btf) => btf.enumeration([1n]) }],
    ['kconfig-size', /size is not known/, { name: 'x', define: (btf) => btf.forward('f') }],
    [
      'kconfig-function',
      /is a function/,
      { name: 'x', define: (btf) => btf.funcProto(0), isFunction: true },
    ],
  ];
  for (const [kind, words, extern] of cases) {
    const { detail, message } = errorOf(() => declare('.kconfig', extern));
    t.is(detail.code === 'extern-declaration' ? detail.fault.kind : detail.code, kind as never);
    t.regex(message, words);
  }
  const error = errorOf(() =>
    declare(
      '.kconfig',
      { name: 'a', define: () => 1 },
      { name: 'b', define: () => 1, noSymbol: true },
    ),
  );
  t.regex(error.message, /'b' is declared in \.kconfig, but there is no symbol/);
});

test('an extern in another section is refused, and one too large to allocate', (t) => {
  const other = errorOf(() => declare('.elsewhere', { name: 'x', define: () => 1 }));
  t.is(other.code, 'extern-declaration');
  t.regex(other.message, /neither \.ksyms nor \.kconfig/);
  const char = (btf: BtfBuilder) => btf.array(btf.int('char', 1), 0x7fffffff);
  t.is(errorOf(() => declare('.kconfig', { name: 'x', define: char })).code, 'data-too-large');
});

test('hostile names of externs', (t) => {
  const names = ['__proto__', 'constructor', 'a\nb', '\u001b[2J', '\u{1f600}', '\uffee', 'z', 'Z'];
  const define = () => 1;
  const spec = declare('.ksyms', ...names.map((name) => ({ name, define })));
  // The order is that of bytes, in which the emoji comes last.
  t.deepEqual(
    spec.externs.map(({ name }) => name),
    ['\u001b[2J', 'Z', '__proto__', 'a\nb', 'constructor', 'z', '\uffee', '\u{1f600}'],
  );
  const long = 'x'.repeat(100_000);
  t.is(declare('.ksyms', { name: long, define }).externs[0]?.name, long);
  const { message } = errorOf(() =>
    declare('.kconfig', { name: `${long}\n`, define: (b) => b.ptr(1) }),
  );
  t.true(message.length < 2000 && !message.includes('\n'));
});
