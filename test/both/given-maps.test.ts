// Maps that objects share, on both backends.
import type { Backend } from '../../src/backend/backend.ts';
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { createVm } from '../../src/vm/index.ts';
import { fixture } from '../support/fixtures.ts';
import { kernelTest, mapOf } from '../support/kernel.ts';

const open = () => openObject(fixture('v3/xdp_counter'), { name: 'xdp_counter' });
const data = new Uint8Array(64);
data.set([0x08, 0x00, 0x45], 12);

function onBoth(title: string, work: (backend: Backend) => unknown, expected: unknown): void {
  kernelTest(title, (t) => {
    using vm = createVm();
    using kernel = createKernelBackend();
    for (const backend of [vm, kernel]) t.deepEqual(work(backend), expected, backend.name);
  });
}

onBoth(
  'two objects count in one map, which outlives the second',
  (backend) => {
    using first = loadObject(open(), { backend });
    const shared = first.map('by_protocol');
    const second = loadObject(open(), { backend, maps: new Map([['by_protocol', shared]]) });
    first.program('count_packets').testRun({ data });
    second.program('count_packets').testRun({ data });
    const same = second.map('by_protocol') === shared;
    second.close();
    const value = shared.lookup(Uint8Array.of(0, 0, 0, 0));
    return [same, value === undefined ? undefined : new BigUint64Array(value.buffer)[0]];
  },
  [true, 2n],
);

onBoth(
  'a map of another kind is refused, with both definitions side by side',
  (backend) => {
    using other = backend.createMap(mapOf({ name: 'other' }), { btf: undefined });
    try {
      loadObject(open(), { backend, maps: new Map([['by_protocol', other]]) }).close();
      return 'loaded';
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return error.message.split('\n').slice(0, 3);
    }
  },
  [
    "map 'by_protocol': the map 'other' that was given for 'by_protocol' is not one like it:",
    '              object              given',
    '  type        hash                array  (differs)',
  ],
);

onBoth(
  'a name that the object lacks is refused',
  (backend) => {
    using map = backend.createMap(mapOf(), { btf: undefined });
    try {
      loadObject(open(), { backend, maps: new Map([['by_port', map]]) }).close();
      return 'loaded';
    } catch (error) {
      return error instanceof BpfError ? error.code : error;
    }
  },
  'no-such-map',
);

kernelTest('a map of another VM is refused', (t) => {
  using one = createVm();
  using two = createVm();
  using object = loadObject(open(), { backend: one });
  const maps = new Map([['by_protocol', object.map('by_protocol')]]);
  const error = t.throws(() => loadObject(open(), { backend: two, maps }), {
    instanceOf: BpfError,
  });
  t.regex(error?.message ?? '', /EBADF/);
});
