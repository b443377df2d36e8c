// Where the types of a kernel are looked for; in made-up roots, so it runs on any machine.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import type { KernelErrorDetail } from '../../src/errors/kernel.ts';
import { BpfError } from '../../src/errors.ts';
import {
  findKernelBtf,
  kernelBtf,
  kernelModuleBtf,
  kernelModuleNames,
} from '../../src/kernel/kernel-btf.ts';
import { buildElf } from '../elf/elf-builder.ts';

const release = '6.99.0-test';

const places = [
  '/sys/kernel/btf/vmlinux',
  `/boot/vmlinux-${release}`,
  `/lib/modules/${release}/vmlinux-${release}`,
  `/lib/modules/${release}/build/vmlinux`,
  `/usr/lib/modules/${release}/kernel/vmlinux`,
  `/usr/lib/debug/boot/vmlinux-${release}`,
  `/usr/lib/debug/boot/vmlinux-${release}.debug`,
  `/usr/lib/debug/lib/modules/${release}/vmlinux`,
];

function typesNamed(name: string, base?: Btf): Uint8Array {
  const builder = new BtfBuilder(base === undefined ? {} : { base });
  builder.add({ kind: 'int', name, size: 4, signed: true });
  return builder.finish();
}

function vmlinux(name: string): Uint8Array {
  const text = { name: '.text', data: new Uint8Array(100) };
  return buildElf({
    type: 2,
    machine: 62,
    sections: [text, { name: '.BTF', data: typesNamed(name) }],
  });
}

/** A folder with these files, which goes when the test ends. */
function rootWith(t: ExecutionContext, files: Readonly<Record<string, Uint8Array>>): string {
  const root = mkdtempSync(join(tmpdir(), 'tsbpf-root-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
  }
  return root;
}

type Missing = Extract<KernelErrorDetail, { code: 'kernel-btf-missing' }>;

function missing(t: ExecutionContext, work: () => unknown): { error: BpfError; detail: Missing } {
  const error = t.throws(work, { instanceOf: BpfError }) as BpfError;
  if (error.detail.code !== 'kernel-btf-missing') throw error;
  return { error, detail: error.detail };
}

for (const [index, place] of places.entries()) {
  test(`a kernel's types are found in ${place.replaceAll(release, '%s')}`, (t) => {
    const file = index === 0 ? typesNamed('wanted') : vmlinux('wanted');
    const root = rootWith(t, { [place]: file });
    const { btf, path, failed } = findKernelBtf({ root, release });
    t.is(btf.nameOf(btf.find('wanted') ?? t.fail()), 'wanted');
    t.is(btf.name, 'vmlinux');
    t.is(path, join(root, place));
    t.deepEqual(
      failed.map((attempt) => [attempt.path, attempt.problem]),
      places.slice(0, index).map((before) => [join(root, before), 'missing']),
    );
    t.not(kernelBtf({ root, release }).find('wanted'), undefined);
  });
}

test('earlier places come first', (t) => {
  const root = rootWith(t, Object.fromEntries(places.slice(2).map((p) => [p, vmlinux(p)])));
  t.is(findKernelBtf({ root, release }).path, join(root, places[2] ?? ''));
});

test('each place that failed is told, with the reason', (t) => {
  const bzImage = new Uint8Array(0x400);
  bzImage.set([0x4d, 0x5a]);
  bzImage.set([0x48, 0x64, 0x72, 0x53], 0x202);
  const debug = { name: '.BTF', type: 8, size: 100n };
  const cut = vmlinux('x').subarray(0, -10);
  const root = rootWith(t, {
    [places[0] ?? '']: Uint8Array.of(0x9f, 0xeb, 1, 0),
    [places[1] ?? '']: bzImage,
    [places[2] ?? '']: buildElf({ type: 2, machine: 62, sections: [] }),
    [places[3] ?? '']: Uint8Array.of(0x1f, 0x8b, 8),
    [`${places[4]}/a`]: new Uint8Array(1),
    [places[5] ?? '']: buildElf({ type: 2, machine: 62, sections: [debug] }),
    [places[6] ?? '']: cut,
  });
  const { error, detail } = missing(t, () => findKernelBtf({ root, release }));
  t.is(detail.release, release);
  t.deepEqual(
    detail.tried.map((attempt) => attempt.path),
    places.map((place) => join(root, place)),
  );
  const wanted = [
    /header|truncated|bytes/,
    /kernel image \(x86 bzImage\).*extract-vmlinux/,
    /no section .BTF/,
    /compressed \(gzip\); unpack it first/,
    /a directory/,
    /only the outline of its .BTF/,
    /damaged ELF file: .* cut off/,
    /there is no such file/,
  ];
  for (const [index, pattern] of wanted.entries())
    t.regex(detail.tried[index]?.reason ?? '', pattern);
  t.deepEqual(
    detail.tried.map((attempt) => attempt.problem),
    [...Array(4).fill('unusable'), 'unreadable', 'unusable', 'unusable', 'missing'],
  );
  t.regex(error.message, /^no types of kernel 6\.99\.0-test were found; .*Tried:\n {2}\//);
  t.is(error.message.split('\n').length, 1 + places.length);
});

test('links in a circle, and a release that is no name of a file', (t) => {
  const root = rootWith(t, { 'boot/x': new Uint8Array() });
  symlinkSync('loop', join(root, 'boot', 'loop'));
  symlinkSync('loop', join(root, `boot/vmlinux-${release}`));
  t.is(missing(t, () => findKernelBtf({ root, release })).detail.tried[1]?.problem, 'unreadable');
  const odd = missing(t, () => findKernelBtf({ root, release: 'a\0b\n' }));
  t.is(odd.detail.tried[1]?.problem, 'unreadable');
  t.false(odd.error.message.includes('\0'));
});

test('an empty file is no BTF', (t) => {
  const root = rootWith(t, { [places[0] ?? '']: new Uint8Array() });
  t.is(missing(t, () => findKernelBtf({ root, release })).detail.tried[0]?.problem, 'unusable');
});

test('modules stand on the types of their kernel', (t) => {
  const base = parseBtf(typesNamed('below'));
  const root = rootWith(t, {
    'sys/kernel/btf/vmlinux': typesNamed('below'),
    'sys/kernel/btf/nf_tables': typesNamed('above', base),
    'sys/kernel/btf/zram': typesNamed('other', base),
  });
  t.deepEqual(kernelModuleNames({ root }), ['nf_tables', 'zram']);
  t.deepEqual(kernelModuleNames({ root: join(root, 'none') }), []);
  const module = kernelModuleBtf('nf-tables', { root });
  t.is(module.name, 'nf_tables');
  t.is(Number(module.find('below')), 1);
  t.is(Number(module.find('above')), 2);
  const on = kernelModuleBtf('zram', { root, base });
  t.is(on.base, base);
  for (const name of ['gone', '../btf/vmlinux', 'vmlinux', '']) {
    const { error } = missing(t, () => kernelModuleBtf(name, { root, release }));
    t.regex(error.message, /no types of module '.*' of kernel 6\.99\.0-test/);
  }
});

test('a module without its kernel says where that was looked for', (t) => {
  const base = parseBtf(typesNamed('below'));
  const root = rootWith(t, { 'sys/kernel/btf/zram': typesNamed('other', base) });
  const { detail } = missing(t, () => kernelModuleBtf('zram', { root, release }));
  t.is(detail.tried.length, places.length);
  t.is(detail.module, undefined);
});

/** Another user's rights, for as long as `work` runs; undefined where they cannot be taken. */
function withoutRights<T>(work: () => T): T | undefined {
  if (process.getuid?.() !== 0) return work();
  if (process.seteuid === undefined) return undefined;
  process.seteuid(65_534);
  try {
    return work();
  } finally {
    process.seteuid(0);
  }
}

test('a file that may not be read is told as such', (t) => {
  const [first] = places as [string];
  const root = rootWith(t, { [first]: typesNamed('secret') });
  chmodSync(root, 0o755);
  chmodSync(join(root, first), 0);
  const found = withoutRights(() => missing(t, () => findKernelBtf({ root, release })));
  if (found === undefined) {
    t.pass('rights cannot be given up here');
    return;
  }
  t.like(found.detail.tried[0], {
    problem: 'no-permission',
    reason: 'no permission to read it; try as root',
  });
  t.is(found.detail.tried[1]?.problem, 'missing');
});
