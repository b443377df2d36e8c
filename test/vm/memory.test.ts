import test from 'ava';
import fc from 'fast-check';
import { MemoryFault, windows } from '../../src/vm/machine.ts';
import { VmMemory } from '../../src/vm/memory.ts';
import { RangeAllocator } from '../../src/vm/ranges.ts';
import { outcome } from './bench.ts';

const small = () => new VmMemory({ pages: 256 });

test('allocations are zeroed, aligned and do not overlap, also after others were freed', (t) => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 300, max: 70_000 }));
  const step = fc.record({
    size: sizes,
    align: fc.constantFrom(8, 16, 64, 4096),
    free: fc.nat(20),
    readOnly: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const memory = small();
      const live: { offset: number; size: number }[] = [];
      for (const { size, align, free, readOnly } of steps) {
        const offset = memory.tryAllocate(size, { align, label: 'x', readOnly });
        if (offset === 0) continue;
        const bytes = memory.bytes.subarray(offset, offset + size);
        if (offset % align !== 0 || bytes.some((byte) => byte !== 0)) return false;
        if (
          live.some((other) => offset < other.offset + other.size && other.offset < offset + size)
        ) {
          return false;
        }
        bytes.fill(0xaa);
        live.push({ offset, size });
        const [gone] = free < live.length ? live.splice(free, 1) : [];
        if (gone !== undefined) memory.free(gone.offset);
      }
      for (const { offset } of live) memory.free(offset);
      return memory.stats().inUse === 0 && memory.stats().byLabel.size === 0;
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('what is in use is counted by label, with its peak', (t) => {
  const memory = small();
  const a = memory.allocate(100, { label: 'map a' });
  memory.allocate(28, { label: 'map a' });
  memory.allocate(5, { label: 'stack' });
  memory.free(a);
  const { inUse, peak, byLabel } = memory.stats();
  t.deepEqual([inUse, peak], [33, 133]);
  t.deepEqual(
    [...byLabel],
    [
      ['map a', 28],
      ['stack', 5],
    ],
  );
});

test('the limit gives ENOMEM and changes nothing', (t) => {
  const memory = new VmMemory({ pages: 256, limit: 1000 });
  memory.allocate(600, { label: 'a' });
  t.is(
    outcome(() => memory.allocate(401, { label: 'b' })),
    'ENOMEM',
  );
  t.is(memory.tryAllocate(401, { label: 'b' }), 0);
  t.is(memory.tryAllocate(2 ** 63, { label: 'b' }), 0);
  t.is(memory.stats().inUse, 600);
  t.true(memory.tryAllocate(400, { label: 'b' }) > 0);
});

test('a memory that is full gives ENOMEM before its limit', (t) => {
  const memory = new VmMemory({ pages: 64 });
  t.is(
    outcome(() => memory.allocate(64 * 65_536, { label: 'a' })),
    'ENOMEM',
  );
});

test('the window of valid addresses follows what is allocated', (t) => {
  const memory = small();
  t.is(memory.mainEnd, memory.mainLow);
  const at = memory.allocate(100_000, { label: 'a' });
  t.is(memory.resolve(at, windows.main, 100_000, 'store'), at);
  t.throws(() => memory.resolve(at, windows.main, 200_000, 'load'), { instanceOf: MemoryFault });
  t.throws(() => memory.resolve(at, 0, 8, 'load'), { instanceOf: MemoryFault });
  t.throws(() => memory.resolve(8, windows.main, 8, 'load'), { instanceOf: MemoryFault });
  memory.free(at);
  t.is(memory.mainEnd, memory.mainLow);
});

test('read-only memory can be read and not stored to', (t) => {
  const memory = small();
  const at = memory.allocate(10, { label: 'rodata', readOnly: true });
  t.is(memory.resolve(at, windows.main, 10, 'load'), at);
  const fault = t.throws(() => memory.resolve(at, windows.main, 1, 'store'), {
    instanceOf: MemoryFault,
  });
  t.is(fault?.reason, 'the memory is read-only for programs');
  t.true(at < memory.storeLow);
});

test('addresses are described by the nearest allocation', (t) => {
  const memory = small();
  const at = memory.allocate(100, { label: 'map counts' });
  t.is(memory.describe(at + 5, windows.main), 'byte 5 of map counts (100 bytes)');
  t.is(memory.describe(at + 104, windows.main), '4 bytes past the end of map counts (100 bytes)');
  t.is(memory.describe(at - 3, windows.main), '3 bytes before map counts (100 bytes)');
  t.is(memory.describe(16, 0), 'a null pointer');
  t.is(memory.describe(16, 7), 'an address that is not mapped');
});

test('ranges: first fit, joined when given back', (t) => {
  const ranges = new RangeAllocator(1000);
  const [a, b, c] = [100, 200, 300].map((size) => ranges.allocate(size, 1)) as [
    number,
    number,
    number,
  ];
  t.deepEqual([a, b, c, ranges.top], [0, 100, 300, 600]);
  ranges.free(a, 100);
  ranges.free(b, 200);
  t.is(ranges.allocate(300, 1), 0);
  t.is(ranges.allocate(401, 1), -1);
  t.is(ranges.allocate(100, 64), 640);
  t.is(ranges.allocate(40, 1), 600);
  ranges.free(640, 100);
  ranges.free(600, 40);
  t.is(ranges.top, 600);
});
