import type { ExecutionContext } from 'ava';
import type { BpfError } from '../../src/errors.ts';
import { createKernelBackend, type KernelBackend } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import type { LoadedObject } from '../../src/loader/loaded.ts';
import { openObject } from '../../src/object/open.ts';
import { fixture } from '../support/fixtures.ts';
import { kernelTest, mapOf } from '../support/kernel.ts';

function withCapture(
  title: string,
  fn: (t: ExecutionContext, object: LoadedObject, kernel: KernelBackend) => void,
): void {
  kernelTest(title, (t) => {
    using backend = createKernelBackend();
    using object = loadObject(openObject(fixture('v3/ringbuf_xdp')), { backend });
    fn(t, object, backend);
  });
}

/** `struct packet_event`: length, number, the first 32 bytes. */
function eventOf(number: number): Uint8Array {
  const event = new Uint8Array(40);
  const view = new DataView(event.buffer);
  view.setUint32(0, 64, true);
  view.setUint32(4, number, true);
  event.set(packet.subarray(0, 32), 8);
  return event;
}

const packet = Uint8Array.from({ length: 64 }, (_, i) => i);

withCapture('samples come in order, discarded ones are left out', (t, object) => {
  const program = object.program('capture');
  for (let i = 0; i < 10; i++) program.testRun({ data: packet });
  const samples: Uint8Array[] = [];
  t.is(
    object.map('packets').consume((sample) => samples.push(sample)),
    8,
  );
  t.deepEqual(samples, [0, 1, 2, 4, 5, 6, 8, 9].map(eventOf));
  t.is(
    object.map('packets').consume(() => t.fail()),
    0,
  );
});

withCapture('a ring that is read again and again wraps around without loss', (t, object) => {
  const program = object.program('capture');
  let expected = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 8; i++) program.testRun({ data: packet });
    object.map('packets').consume((sample) => {
      if (expected % 4 === 3) expected++;
      if (!sample.every((byte, at) => byte === eventOf(expected)[at])) t.fail(`event ${expected}`);
      expected++;
    });
  }
  t.is(expected, 1599);
});

withCapture('a full ring loses, and takes up again when read', (t, object) => {
  const program = object.program('capture');
  for (let i = 0; i < 200; i++) program.testRun({ data: packet });
  // 4096 bytes hold 85 records of 48.
  t.is(
    object.map('packets').consume(() => {}),
    64,
  );
  const lost = object.global('lost').bytes;
  t.is(new DataView(lost.buffer, lost.byteOffset).getUint32(0, true), 115);
  program.testRun({ data: packet });
  t.is(
    object.map('packets').consume(() => {}),
    1,
  );
});

withCapture('a reader may throw, read on inside, or close the map', (t, object) => {
  const program = object.program('capture');
  const map = object.map('packets');
  for (let i = 0; i < 7; i++) program.testRun({ data: packet });
  t.throws(
    () =>
      map.consume(() => {
        throw new Error('stop');
      }),
    { message: 'stop' },
  );
  let inner = 0;
  let outer = 0;
  map.consume(() => {
    outer++;
    if (inner === 0) inner = map.consume(() => {});
  });
  t.deepEqual([outer, inner], [1, 4]);
  for (let i = 0; i < 2; i++) program.testRun({ data: packet });
  t.is(
    map.consume(() => map.close()),
    1,
  );
  t.is((t.throws(() => map.consume(() => {})) as BpfError).code, 'closed');
});

withCapture('samples are copies: they outlive the ring', (t, object) => {
  object.program('capture').testRun({ data: packet });
  const samples: Uint8Array[] = [];
  object.map('packets').consume((sample) => samples.push(sample));
  object.close();
  t.deepEqual(samples, [eventOf(0)]);
});

withCapture('only ring buffers can be consumed', (t, _object, kernel) => {
  const map = kernel.createMap(mapOf(), { btf: undefined });
  const error = t.throws(() => map.consume(() => {})) as BpfError;
  t.regex(error.message, /EINVAL.*only a ring buffer/);
});
