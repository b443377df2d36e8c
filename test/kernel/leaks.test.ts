// Nothing may stay behind: no descriptor, map, program or BTF, whatever fails and when.
import { readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { ERRNO } from '../../src/abi/errno.ts';
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import type { KernelCalls } from '../../src/kernel/sys.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { fixture } from '../support/fixtures.ts';
import {
  expectInventory,
  imageOf,
  kernelTest,
  takeInventory,
  wrapCalls,
} from '../support/kernel.ts';

/** Objects that between them make every kind of call. */
const objects = (['globals', 'map_in_map', 'tail_calls', 'ringbuf_xdp', 'percpu'] as const).map(
  (name) => ({ name, spec: openObject(fixture(`v3/${name}`), { name }) }),
);

/** Loads, runs, views, reads and closes an object. */
function useObject(spec: (typeof objects)[number]['spec'], calls?: KernelCalls): void {
  using backend = createKernelBackend({ calls });
  using object = loadObject(spec, { backend });
  for (const { program } of object.programs) program.testRun({ data: new Uint8Array(64) });
  for (const map of object.maps.values()) {
    const first = map.keySize === 0 ? undefined : map.nextKey(undefined);
    if (first !== undefined && map.type !== 3) map.lookup(first);
    if (map.type === 27) map.consume(() => {});
  }
  for (const { data } of spec.maps) {
    const name = data?.variables[0]?.name;
    if (name !== undefined) object.global(name);
  }
}

kernelTest('200 cycles of load, use and close leave nothing', async (t) => {
  useObject(objects[0]?.spec as (typeof objects)[number]['spec']);
  const before = takeInventory();
  const mappings = mappingCount();
  for (let i = 0; i < 200; i++) {
    useObject(objects[i % objects.length]?.spec as (typeof objects)[number]['spec']);
  }
  await expectInventory(t, before);
  t.true(mappingCount() < mappings + 100, `${mappingCount() - mappings} mappings more`);
});

function mappingCount(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('\n').length;
}

kernelTest('a backend that is closed first closes what it made', async (t) => {
  const before = takeInventory();
  const backend = createKernelBackend();
  const [first] = objects;
  const object = loadObject((first as (typeof objects)[number]).spec, { backend });
  backend.close();
  object.close();
  await expectInventory(t, before);
});

kernelTest('a program that the verifier refuses leaves nothing', async (t) => {
  const before = takeInventory();
  using backend = createKernelBackend();
  for (let i = 0; i < 20; i++) {
    t.throws(() =>
      backend.loadProgram(
        imageOf([
          [0x79, 0, 2, 0, 0],
          [0x95, 0, 0, 0, 0],
        ]),
        [],
      ),
    );
  }
  const spec = openObject(fixture('v3/tail_calls'));
  // The last program of the object has no packet as a kprobe: maps and earlier programs must go.
  const programs = spec.programs.map((program, at) =>
    at === spec.programs.length - 1 ? { ...program, type: 2 } : program,
  );
  t.throws(() => loadObject({ ...spec, programs }, { backend }), { instanceOf: BpfError });
  await expectInventory(t, before);
});

for (const errno of ['ENOMEM', 'EMFILE', 'EPERM', 'EINVAL'] as const) {
  for (const { name, spec } of objects) {
    kernelTest(`${name}: each call in turn fails with ${errno}`, async (t) => {
      const before = takeInventory();
      const count = countCalls(spec);
      for (let failing = 0; failing < count; failing++) {
        failCall(t, spec, failing, ERRNO[errno]);
      }
      // Mappings that could not be ended are ended with the next one.
      useObject(spec);
      await expectInventory(t, before);
    });
  }
}

function countCalls(spec: (typeof objects)[number]['spec']): number {
  const calls = wrapCalls(() => undefined);
  useObject(spec, calls);
  return calls.seen.length;
}

/**
 * The `failing`th call fails, and so do repetitions of it for a log. Either the error names
 * what was tried, or the failure was survived (a retry without types, a value not there).
 */
function failCall(
  t: ExecutionContext,
  spec: (typeof objects)[number]['spec'],
  failing: number,
  number: number,
): void {
  let kind: string | undefined;
  const calls = wrapCalls((call, index) => {
    if (index === failing) kind = call;
    return kind !== undefined && call === kind && index >= failing ? -number : undefined;
  });
  try {
    useObject(spec, calls);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    t.regex(error.message, new RegExp(`\\(${number}\\)`), `call ${failing}, ${kind}`);
    t.regex(error.message, /\((BPF_\w+|mmap)\)/);
  }
}
