import { BPF_F_MMAPABLE, BPF_F_SEGV_ON_FAULT } from '../../src/abi/bpf.ts';
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { createVm } from '../../src/vm/index.ts';
import { type FixtureVariant, fixture } from '../support/fixtures.ts';
import { expectInventory, kernelTest, takeInventory, wrapCalls } from '../support/kernel.ts';

const open = (path: `${FixtureVariant}/${string}`) => openObject(fixture(path), { name: 'test' });

kernelTest('the kernel and a VM with its facts have the same configuration values', (t) => {
  using backend = createKernelBackend();
  const { host } = backend;
  const number = host.kernelVersion();
  using vm = createVm({
    host: {
      kernelVersion: `${number >> 16}.${(number >> 8) & 255}.${number & 255}`,
      kconfig: host.kconfig(),
      lacks: (['cookie', 'syscall-wrapper'] as const).filter((feature) => !host.has(feature)),
    },
  });
  for (const name of ['kconfig', 'kconfig_one'] as const) {
    const contents = [backend, vm].map((each) => {
      using object = loadObject(open(`v3/${name}`), { backend: each });
      return [...object.map('.kconfig').view()];
    });
    t.deepEqual(contents[0], contents[1], name);
    if (name === 'kconfig') t.true(contents[0]?.some((byte) => byte !== 0));
  }
});

kernelTest(
  'kernel functions are called by id; their declarations do not disturb the types',
  (t) => {
    using backend = createKernelBackend();
    using object = loadObject(open('v3/kfuncs'), { backend });
    const slots = object.programs.flatMap(({ image }) => image.slots);
    const called = slots.filter((slot) => slot.kind === 'kfunc');
    t.true(called.length > 0);
    for (const slot of called) t.is(backend.targetBtf().nameOf(slot.type), slot.name);
  },
);

kernelTest('jump tables need a newer kernel, or work', (t) => {
  using backend = createKernelBackend();
  const load = (): void => loadObject(open('v4/jump_tables'), { backend }).close();
  try {
    load();
    t.pass();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    t.regex(error.message, /jumps through tables, which kernels know since 6\.19/);
  }
});

kernelTest('an arena is mapped, and its variables are at its end', (t) => {
  using backend = createKernelBackend();
  const spec = open('v3/arena_globals');
  using object = loadObject(spec, { backend, autoload: () => false });
  const map = spec.maps.find((each) => each.data?.kind === 'arena');
  if (map?.data === undefined) return t.fail('no variables in an arena');
  const arena = object.map(map.name);
  if (map.extra !== 0n) {
    t.throws(() => arena.view(), { message: /it has a fixed address/ });
    return;
  }
  for (const variable of map.data.variables) {
    const { bytes } = object.global(variable.name);
    const { offset, size } = variable;
    t.deepEqual([...bytes], [...map.data.contents.subarray(offset, offset + size)]);
  }
});

kernelTest('an arena anywhere is seen live, and gone when it is closed', (t) => {
  using backend = createKernelBackend();
  const spec = open('v3/arena_plain');
  const map = spec.maps.find((each) => each.type === 33);
  if (map === undefined) return t.fail('no arena');
  const plain = { ...map, extra: 0n, flags: BPF_F_MMAPABLE };
  const arena = backend.createMap(plain, { btf: undefined });
  const view = arena.view();
  t.is(view.length, map.maxEntries * backend.pageSize);
  arena.write(3, Uint8Array.of(1, 2, 3));
  t.deepEqual([...view.subarray(2, 7)], [0, 1, 2, 3, 0]);
  t.throws(() => arena.write(view.length - 1, Uint8Array.of(1, 2)), {
    message: /2 bytes at \d+ are outside of the arena/,
  });
  arena.close();
  t.is(view.length, 0);
});

kernelTest(
  'an arena at a fixed address takes its variables, and does not push others away',
  (t) => {
    using backend = createKernelBackend();
    const map = open('v3/arena_plain').maps.find((each) => each.type === 33);
    if (map === undefined) return t.fail('no arena');
    const fixed = { ...map, extra: 0x2000_0000_0000n, flags: BPF_F_MMAPABLE };
    {
      using arena = backend.createMap(fixed, { btf: undefined });
      t.notThrows(() => arena.write(5, Uint8Array.of(9)));
      t.throws(() => arena.view(), { message: /it has a fixed address/ });
      const error = t.throws(() => backend.createMap(fixed, { btf: undefined }));
      t.regex((error as BpfError).message, /EEXIST|EBUSY/);
    }
    t.notThrows(() => backend.createMap(fixed, { btf: undefined }).close());
  },
);

kernelTest('an arena whose pages end the process is not touched', (t) => {
  using backend = createKernelBackend();
  const map = open('v3/arena_plain').maps.find((each) => each.type === 33);
  if (map === undefined) return t.fail('no arena');
  const flags = map.flags | BPF_F_SEGV_ON_FAULT;
  using arena = backend.createMap({ ...map, flags }, { btf: undefined });
  const message = /pages that no program has allocated must not be touched/;
  t.throws(() => arena.view(), { message });
  t.throws(() => arena.write(0, Uint8Array.of(1)), { message });
});

kernelTest('structs of callbacks are registered and forgotten', (t) => {
  using backend = createKernelBackend();
  const spec = open('v3/struct_ops_tcp');
  const names = spec.maps.filter((map) => map.structOps !== undefined).map((map) => map.name);
  t.true(names.length > 0);
  for (let round = 0; round < 2; round++) {
    // The second round fails if the first has left its algorithm behind.
    using object = loadObject(spec, { backend });
    for (const name of names) {
      object.registerStructOps(name);
      const value = object.map(name).lookup(new Uint8Array(4));
      t.true(value?.some((byte) => byte !== 0));
    }
  }
});

kernelTest('a kernel that cannot map arrays gets data sections all the same', (t) => {
  let refused = 0;
  const calls = wrapCalls((call) => (call === 'MAP_CREATE' && refused++ < 2 ? -22 : undefined));
  using backend = createKernelBackend({ calls });
  const spec = open('v3/globals');
  const data = spec.maps.find(
    (map) => map.data !== undefined && (map.flags & BPF_F_MMAPABLE) !== 0,
  );
  if (data === undefined) return t.fail('no data section');
  const map = backend.createMap(data, { btf: spec.btf });
  t.is(map.flags & BPF_F_MMAPABLE, 0);
  t.is(calls.seen.filter((call) => call === 'MAP_CREATE').length, 3);
});

kernelTest('whatever call fails, nothing is left behind', async (t) => {
  const objects = ['kconfig', 'kfuncs', 'struct_ops_tcp', 'arena_plain'] as const;
  const specs = objects.map((name) => [name, open(`v3/${name}`)] as const);
  const before = takeInventory();
  for (const [name, spec] of specs) {
    let count = Number.POSITIVE_INFINITY;
    for (let failing = 0; failing < Math.min(count, 60); failing++) {
      const calls = wrapCalls((_call, index) => (index === failing ? -12 : undefined));
      try {
        using backend = createKernelBackend({ calls });
        using _object = loadObject(spec, { backend });
      } catch (error) {
        t.true(error instanceof BpfError, `${name}, call ${failing}: ${error}`);
      }
      count = calls.seen.length;
    }
  }
  await expectInventory(t, before);
});
