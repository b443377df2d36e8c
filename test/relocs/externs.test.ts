import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import type { ExternSpec, KconfigPlace, ObjectSpec } from '../../src/object/spec.ts';
import { type ExternSources, resolveExterns, withKconfig } from '../../src/relocs/externs.ts';
import { VmHost } from '../../src/vm/host.ts';
import { makeMap, makeSpec, map } from './specs.ts';

/** The object's types: `int`, and what externs are declared as. */
function objectTypes() {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const long = builder.add({ kind: 'int', name: 'long', size: 8, signed: true });
  const struct = builder.add({ kind: 'struct', name: 'thing', size: 0, members: [] });
  const pointer = builder.add({ kind: 'ptr', target: struct });
  const takesPointer = builder.add({
    ...{ kind: 'func-proto', returns: int, params: [{ name: 'p', type: pointer }] },
  });
  const takesInt = builder.add({
    ...{ kind: 'func-proto', returns: int, params: [{ name: 'p', type: int }] },
  });
  const add = (name: string, proto: TypeId): TypeId =>
    builder.add({ kind: 'func', name, proto, linkage: 'extern' });
  const ids = {
    ...{ int, long, struct },
    good: add('kfunc', takesPointer),
    flavour: add('kfunc___new', takesPointer),
    other: add('kfunc', takesInt),
    inModule: add('module_kfunc', takesPointer),
  };
  return { btf: parseBtf(builder.finish()), ids };
}

function kernelTypes() {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const struct = builder.add({
    ...{ kind: 'struct', name: 'thing', size: 4 },
    members: [{ name: 'a', type: int, bitOffset: 0 }],
  });
  const pointer = builder.add({ kind: 'ptr', target: struct });
  const proto = builder.add({
    ...{ kind: 'func-proto', returns: int, params: [{ name: 'p', type: pointer }] },
  });
  const kfunc = builder.add({ kind: 'func', name: 'kfunc', proto, linkage: 'static' });
  const variable = builder.add({ kind: 'var', name: 'a_thing', type: struct, linkage: 'global' });
  const kernel = parseBtf(builder.finish(), { name: 'vmlinux' });
  const split = new BtfBuilder({ base: kernel });
  const inModule = split.add({ kind: 'func', name: 'module_kfunc', proto, linkage: 'static' });
  const module = parseBtf(split.finish(), { name: 'mod', base: kernel });
  return { kernel, module, ids: { kfunc, variable, inModule } };
}

const object = objectTypes();
const target = kernelTypes();
const types: NonNullable<ExternSources['types']> = {
  kernel: target.kernel,
  modules: () => [{ name: 'mod', btf: target.module }],
};

const strong: Pick<ExternSpec, 'weak'> = { weak: false };

function specOf(...externs: readonly Partial<ExternSpec>[]): ObjectSpec {
  const whole = externs.map(
    (each): ExternSpec => ({ name: 'x', kind: 'kfunc', type: undefined, ...strong, ...each }),
  );
  const contents = new Uint8Array(8);
  const data = { section: '.kconfig', kind: 'kconfig', contents, variables: [] } as const;
  const maps = [makeMap('.kconfig', { valueSize: 8, data })];
  return { ...makeSpec([], { maps }), btf: object.btf, externs: whole };
}

const host = new VmHost({
  kernelVersion: '6.12.300',
  kconfig: 'CONFIG_HZ=1000\nCONFIG_BPF=y\n',
  symbols: new Map([['jiffies', 0xffff_ffff_8100_0000n]]),
  lacks: ['cookie'],
});

const resolve = (wanted: Partial<ExternSpec>, sources: ExternSources = { types, host }) =>
  resolveExterns(specOf(wanted), sources).externs[0];

test('functions are found in the kernel and its modules, by their names without flavours', (t) => {
  const found = (name: string, type: TypeId) => resolve({ name, type });
  const entity = { name: 'kfunc', type: target.ids.kfunc, module: undefined };
  t.deepEqual(found('kfunc', object.ids.good), { kind: 'kernel', entity });
  t.deepEqual(found('kfunc___new', object.ids.flavour), { kind: 'kernel', entity });
  t.deepEqual(found('module_kfunc', object.ids.inModule), {
    kind: 'kernel',
    entity: { name: 'module_kfunc', type: target.ids.inModule, module: 'mod' },
  });
});

test('a function of another type is refused, and as good as missing where it is weak', (t) => {
  const wanted = { name: 'kfunc', type: object.ids.other };
  const error = t.throws(() => resolve(wanted), { instanceOf: BpfError });
  t.is(error?.code, 'extern-type');
  t.regex(
    error?.message ?? '',
    /^extern kernel function 'kfunc' is declared as .* the kernel has /,
  );
  t.is(resolve({ ...wanted, weak: true })?.kind, 'missing');
});

test('variables with a type: found, missing, of another type', (t) => {
  const wanted = { kind: 'ksym', name: 'a_thing', type: object.ids.struct } as const;
  t.deepEqual(resolve(wanted), {
    kind: 'kernel',
    entity: { name: 'a_thing', type: target.ids.variable, module: undefined },
  });
  t.is(resolve({ ...wanted, name: 'gone', weak: true })?.kind, 'missing');
  t.throws(() => resolve({ ...wanted, name: 'gone' }), {
    message:
      "extern kernel symbol 'gone': the types of the kernel have no such variable; declare it __weak to load without it",
  });
  // Even a weak one may not be of another type.
  for (const weak of [false, true]) {
    t.throws(() => resolve({ ...wanted, weak, type: object.ids.int }), {
      message: "extern kernel symbol 'a_thing' is declared as int, but the kernel has struct thing",
    });
  }
});

test('symbols without a type have an address', (t) => {
  const wanted = { kind: 'ksym', name: 'jiffies', type: undefined } as const;
  t.deepEqual(resolve(wanted), { kind: 'address', address: 0xffff_ffff_8100_0000n });
  t.is(resolve({ ...wanted, name: 'gone', weak: true })?.kind, 'missing');
  t.throws(() => resolve({ ...wanted, name: 'gone' }), { instanceOf: BpfError });
});

test('a symbol that is there twice is refused, even a weak one', (t) => {
  const twice = { ...host, symbols: () => new Map([['s', [1n, 2n]]]) } as unknown as VmHost;
  t.throws(() => resolve({ kind: 'ksym', name: 's', weak: true }, { types, host: twice }), {
    message:
      "extern kernel symbol 's': several symbols of the kernel have the name, at 0x1 and 0x2",
  });
});

const number: KconfigPlace = { map: map(0), offset: 4, size: 4, form: 'int', signed: false };
const flag: KconfigPlace = { ...number, offset: 1, size: 1, form: 'bool' };

/** The contents of `.kconfig` for one value. */
function contents(wanted: Partial<ExternSpec>, sources: ExternSources = { types, host }): string {
  const spec = specOf({ kind: 'kconfig', ...wanted });
  const { values } = resolveExterns(spec, sources);
  return Buffer.from(withKconfig(spec, values).maps[0]?.data?.contents ?? []).toString('hex');
}

test('configuration values come from the text given, then from the host', (t) => {
  const hz = { name: 'CONFIG_HZ', kconfig: number };
  t.is(contents(hz), '00000000e8030000');
  t.is(contents(hz, { host, kconfig: 'CONFIG_HZ=250' }), '00000000fa000000');
  t.is(contents({ name: 'CONFIG_BPF', kconfig: flag }), '0001000000000000');
  t.is(contents({ name: 'CONFIG_NO', kconfig: flag, weak: true }), '0000000000000000');
  t.throws(() => contents({ name: 'CONFIG_NO', kconfig: flag }), {
    message:
      "extern kernel configuration value 'CONFIG_NO': the configuration of the kernel does not set it; declare it __weak to load without it",
  });
  t.throws(() => contents(hz, { host: new VmHost() }), {
    message: /there is no configuration of this kernel to read; give one as text/,
  });
});

test('values that libbpf makes up', (t) => {
  t.is(contents({ name: 'LINUX_KERNEL_VERSION', kconfig: number }), '00000000ff0c0600');
  t.is(contents({ name: 'LINUX_HAS_BPF_COOKIE', kconfig: flag }), '0000000000000000');
  t.is(contents({ name: 'LINUX_HAS_SYSCALL_WRAPPER', kconfig: flag }), '0001000000000000');
  t.is(contents({ name: 'LINUX_UNKNOWN', kconfig: flag, weak: true }), '0000000000000000');
  for (const [name, weak] of [
    ['LINUX_UNKNOWN', false],
    ['OTHER', true],
  ] as const) {
    t.throws(() => contents({ name, weak, kconfig: flag }), { message: /names of such values/ });
  }
});

test('without a machine nothing is an error until a program needs it', (t) => {
  const { externs } = resolveExterns(
    specOf(
      { kind: 'ksym', name: 'jiffies' },
      { kind: 'kconfig', name: 'CONFIG_HZ', kconfig: number },
      { name: 'kfunc', type: object.ids.good },
    ),
    {},
  );
  t.deepEqual(
    externs.map((each) => each.kind),
    ['missing', 'kconfig', 'missing'],
  );
});
