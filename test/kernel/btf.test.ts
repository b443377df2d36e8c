import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { writeBtf } from '../../src/btf/tools/reencode.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../../src/btf/types.ts';
import type { BpfError } from '../../src/errors.ts';
import { Attr, hostLittleEndian } from '../../src/kernel/attr.ts';
import { allBtfFeatures, btfFeatures, type ProbedFeature } from '../../src/kernel/btf-features.ts';
import { BtfPool, kernelForm } from '../../src/kernel/btf-load.ts';
import { kernelBtf } from '../../src/kernel/index.ts';
import { copyNative, systemCalls } from '../../src/kernel/sys.ts';
import { openObject } from '../../src/object/open.ts';
import { fixture, fixturePaths } from '../support/fixtures.ts';
import { expectInventory, kernelTest, takeInventory, wrapCalls } from '../support/kernel.ts';

const kindsOf: Readonly<Record<ProbedFeature, readonly BtfKind[]>> = {
  func: [BTF_KIND.FUNC, BTF_KIND.FUNC_PROTO],
  'global-func': [],
  datasec: [BTF_KIND.DATASEC, BTF_KIND.VAR],
  'qmark-datasec': [],
  float: [BTF_KIND.FLOAT],
  'decl-tag': [BTF_KIND.DECL_TAG],
  'type-tag': [BTF_KIND.TYPE_TAG],
  enum64: [BTF_KIND.ENUM64],
};

/** A BTF of our own with each of the kinds that may have to go. */
function everyKind(): Uint8Array {
  const names = '\0int\0f\0x\0?d\0e\0tag\0g\0';
  const at = (name: string): number => names.indexOf(`\0${name}\0`) + 1;
  const info = (kind: BtfKind, vlen = 0): number => ((kind << 24) | vlen) >>> 0;
  const words = [
    [at('int'), info(BTF_KIND.INT), 4, 0x0100_0020], // 1
    [0, info(BTF_KIND.FUNC_PROTO, 1), 1, at('x'), 1], // 2
    [at('f'), info(BTF_KIND.FUNC, 1), 2], // 3, global
    [at('x'), info(BTF_KIND.VAR), 1, 1], // 4
    [at('?d'), info(BTF_KIND.DATASEC, 1), 4, 4, 0, 4], // 5
    [at('g'), info(BTF_KIND.FLOAT), 8], // 6
    [at('tag'), info(BTF_KIND.DECL_TAG), 3, 0], // 7
    [at('tag'), info(BTF_KIND.TYPE_TAG), 1], // 8
    [0, info(BTF_KIND.PTR), 8], // 9
    [at('e'), info(BTF_KIND.ENUM64, 2), 8, at('f'), 1, 2, at('g'), 3, 4], // 10
    [at('e'), (info(BTF_KIND.ENUM, 1) | 0x8000_0000) >>> 0, 4, at('x'), 0xffff_ffff], // 11
  ].flat();
  const strings = new TextEncoder().encode(names);
  return writeBtf({ littleEndian: hostLittleEndian, words: Uint32Array.from(words), strings });
}

for (const feature of allBtfFeatures) {
  test(`without ${feature}: its kinds are gone, every other type is as it was`, (t) => {
    const before = parseBtf(everyKind());
    const features = new Set([...allBtfFeatures].filter((other) => other !== feature));
    const after = parseBtf(kernelForm(before, features));
    t.is(after.endId, before.endId + (feature === 'enum64' ? 1 : 0));
    for (let id = 1 as TypeId; id < before.endId; id++) {
      const gone = kindsOf[feature].includes(before.kindOf(id));
      if (gone) t.not(after.kindOf(id), before.kindOf(id));
      else t.is(after.kindOf(id), before.kindOf(id));
    }
    if (feature === 'global-func') t.is(after.vlenOf(3 as TypeId), 0);
    if (feature === 'qmark-datasec') t.is(after.nameOf(5 as TypeId), '_d');
    if (feature === 'enum64') t.false(after.kindFlagOf(11 as TypeId));
  });
}

test("the object's own BTF is not touched", (t) => {
  const bytes = everyKind();
  const copy = bytes.slice();
  kernelForm(parseBtf(bytes), new Set());
  t.deepEqual(bytes, copy);
});

kernelTest('this kernel takes every probe, and what is left of a BTF without any feature', (t) => {
  t.deepEqual(btfFeatures(systemCalls()), allBtfFeatures);
  const load = (bytes: Uint8Array): number => {
    const native = copyNative(bytes);
    return systemCalls().bpf(
      new Attr('BTF_LOAD').point('btf', native).set('btf_size', bytes.length),
    );
  };
  const candidates: (readonly [string, Uint8Array])[] = [['own', everyKind()]];
  for (const path of fixturePaths('v3')) {
    const { btf } = openObject(fixture(path));
    if (btf !== undefined) candidates.push([path, btf.bytes]);
  }
  for (const [name, bytes] of candidates) {
    const fd = load(kernelForm(parseBtf(bytes), new Set()));
    t.true(fd >= 0, `${name}: ${fd}`);
    if (fd >= 0) systemCalls().close(fd);
  }
});

kernelTest('a kernel that refuses the original gets a copy without what it lacks', async (t) => {
  const before = takeInventory();
  const btf = parseBtf(everyKind());
  // Refuses the first load and the probe of one feature, as a kernel before 5.13 would.
  const order = ['original', 'any BTF', ...allBtfFeatures, 'sanitised'];
  const calls = wrapCalls((_call, index) => {
    return ['original', 'float'].includes(order[index] as string) ? -22 : undefined;
  });
  const pool = new BtfPool(calls);
  t.true((pool.acquire(btf) as number) >= 0);
  t.is(calls.seen.length, order.length);
  pool.acquire(btf);
  pool.release(btf);
  pool.release(btf);
  await expectInventory(t, before);
});

kernelTest('a BTF that the kernel refuses is an error with its log', (t) => {
  const words = [1, (BTF_KIND.INT << 24) >>> 0, 4, 0xff00_00ff];
  const strings = new TextEncoder().encode('\0int\0');
  const int = Uint32Array.from([1, 0x0100_0000, 4, 32]);
  const good = parseBtf(writeBtf({ littleEndian: hostLittleEndian, words: int, strings }));
  good.words.set(words);
  const error = t.throws(() => new BtfPool(systemCalls()).acquire(good)) as BpfError;
  if (error.detail.code !== 'btf-load') return t.fail(error.message);
  t.is(error.detail.errno, 'EINVAL');
  t.regex(error.detail.log, /int/);
});

kernelTest('the running kernel knows task_struct; read once', (t) => {
  const btf = kernelBtf();
  t.not(btf.find('task_struct', BTF_KIND.STRUCT), undefined);
  t.is(kernelBtf(), btf);
});
