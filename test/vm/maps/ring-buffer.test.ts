import test from 'ava';
import fc from 'fast-check';
import { BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { createVm, RingBufferMap, type Vm } from '../../../src/vm/index.ts';
import { outcome, specOf, u32 } from '../bench.ts';

const size = 4096;

function ringIn(vm: Vm): RingBufferMap {
  const spec = specOf({ type: BPF_MAP_TYPE.RINGBUF, keySize: 0, valueSize: 0, maxEntries: size });
  const map = vm.createMap(spec, { btf: undefined });
  if (!(map instanceof RingBufferMap)) throw new Error('no ring buffer');
  return map;
}

/** Reserves, fills and commits a sample. */
function produce(vm: Vm, ring: RingBufferMap, length: number, fill: number): boolean {
  const sample = ring.reserve(length);
  if (sample === 0) return false;
  vm.memory.bytes.fill(fill, sample, sample + length);
  ring.commit(sample, 0, false);
  return true;
}

function drain(ring: RingBufferMap): Uint8Array[] {
  const out: Uint8Array[] = [];
  ring.consume((sample) => out.push(sample));
  return out;
}

test('samples come in order, whole, over many turns of the ring', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  const lengths = fc.array(fc.integer({ min: 0, max: 1500 }), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, (sizes) => {
      const expected: Uint8Array[] = [];
      const got: Uint8Array[] = [];
      sizes.forEach((length, i) => {
        if (!produce(vm, ring, length, i & 0xff)) {
          got.push(...drain(ring));
          if (!produce(vm, ring, length, i & 0xff)) throw new Error('no room in an empty ring');
        }
        expected.push(new Uint8Array(length).fill(i & 0xff));
      });
      got.push(...drain(ring));
      t.deepEqual(got, expected);
      return true;
    }),
    { numRuns: 30 },
  );
  t.true(ring.producerPosition > 3 * size);
});

test('a record that wraps is contiguous for programs and readers', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  produce(vm, ring, 3000, 1);
  drain(ring);
  const sample = ring.reserve(2000);
  t.true(sample + 2000 > ring.base + 3 * 4096 + size);
  vm.memory.bytes.fill(9, sample, sample + 2000);
  ring.commit(sample, 0, false);
  produce(vm, ring, 100, 3);
  t.deepEqual(
    drain(ring).map((each) => [each.length, each[0], each.at(-1)]),
    [
      [2000, 9, 9],
      [100, 3, 3],
    ],
  );
});

test('the header is the kernel layout: length with BUSY, page distance', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  const sample = ring.reserve(13);
  t.is(vm.memory.words[(sample - 8) >>> 2], 0x8000_000d);
  t.is(vm.memory.words[(sample - 4) >>> 2], 3);
  ring.commit(sample, 0, true);
  t.is(vm.memory.words[(sample - 8) >>> 2], 0x4000_000d);
  t.deepEqual(drain(ring), []);
  t.is(ring.consumerPosition, 24);
});

test('nothing behind a busy sample is handed out, and discarded ones are left out', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  const first = ring.reserve(8);
  const second = ring.reserve(8);
  const third = ring.reserve(8);
  ring.commit(third, 0, false);
  ring.commit(second, 0, true);
  t.is(drain(ring).length, 0);
  ring.commit(first, 0, false);
  t.is(drain(ring).length, 2);
});

test('space ends one byte before the whole ring, and where a busy sample holds it', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  t.is(ring.reserve(size - 8), 0);
  t.is(ring.reserve(size), 0);
  t.is(ring.reserve(0xffff_ffff), 0);
  const held = ring.reserve(8);
  for (let i = 0; i < 100; i++) {
    produce(vm, ring, 1000, i);
    drain(ring);
  }
  t.true(ring.producerPosition < size);
  ring.commit(held, 0, false);
  drain(ring);
  t.true(ring.reserve(size - 16) !== 0);
});

test('output and query', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  const from = vm.memory.allocate(4000, { label: 'test' });
  t.is(ring.output(from, 10, 4), -22);
  t.is(ring.output(from, 10, 0), 0);
  t.is(ring.output(from, 4090, 0), -11);
  t.deepEqual(
    [0, 1, 2, 3, 9].map((what) => ring.query(what)),
    [24, size, 0, 24, 0],
  );
});

test('readers are woken by the first new sample, unless flags say otherwise', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  let woken = 0;
  const stop = ring.onWakeup(() => woken++);
  produce(vm, ring, 8, 0);
  produce(vm, ring, 8, 0);
  t.is(woken, 1);
  ring.commit(ring.reserve(8), 2, false);
  t.is(woken, 2);
  drain(ring);
  ring.commit(ring.reserve(8), 1, false);
  t.is(woken, 2);
  stop();
  drain(ring);
  produce(vm, ring, 8, 0);
  t.is(woken, 2);
});

test('map operations are not there', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  const none = new Uint8Array(0);
  t.is(
    outcome(() => ring.lookup(none)),
    'ENOTSUPP',
  );
  t.is(
    outcome(() => ring.update(none, none)),
    'ENOTSUPP',
  );
  t.is(
    outcome(() => ring.delete(none)),
    'ENOTSUPP',
  );
  t.is(
    outcome(() => ring.nextKey(undefined)),
    'ENOTSUPP',
  );
  t.is(
    outcome(() => ring.lookup(u32(0))),
    'EINVAL',
  );
});

test('a damaged header ends in an error', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  produce(vm, ring, 8, 0);
  vm.memory.words[(ring.base + 3 * 4096) >>> 2] = 0x1000_0000;
  t.is(
    outcome(() => ring.consume(() => {})),
    'EFAULT',
  );
});

test('a sample counts as consumed when its reader throws', (t) => {
  using vm = createVm();
  const ring = ringIn(vm);
  produce(vm, ring, 8, 1);
  produce(vm, ring, 8, 2);
  t.throws(
    () =>
      ring.consume(() => {
        throw new Error('reader');
      }),
    { message: 'reader' },
  );
  t.is(drain(ring)[0]?.[0], 2);
});
