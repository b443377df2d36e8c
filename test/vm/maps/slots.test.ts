import test from 'ava';
import { BPF_F_XDP_HAS_FRAGS, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../../src/abi/bpf.ts';
import type { BackendMap } from '../../../src/backend/backend.ts';
import { createVm, type Vm } from '../../../src/vm/index.ts';
import { loadCode, outcome, specOf, u32 } from '../bench.ts';
import { exit, movImm } from '../engine/assemble.ts';

const code = [movImm(0, 7), exit()];
const progArray = (vm: Vm) =>
  vm.createMap(specOf({ type: BPF_MAP_TYPE.PROG_ARRAY, valueSize: 4 }), { btf: undefined });

test('prog array: ids come back, and every errno', (t) => {
  using vm = createVm();
  const map = progArray(vm);
  const program = loadCode(vm, code);
  map.setProgram(u32(2), program);
  const rows: readonly (readonly [() => unknown, unknown])[] = [
    [() => map.lookup(u32(2)), u32(program.id)],
    [() => map.lookup(u32(1)), undefined],
    [() => map.lookup(u32(9)), undefined],
    [() => map.setProgram(u32(4), program), 'E2BIG'],
    [() => map.update(u32(0), u32(1)), 'EBADF'],
    [() => map.update(u32(0), u32(1), 1), 'EINVAL'],
    [() => map.delete(u32(2)), true],
    [() => map.delete(u32(2)), false],
    [() => map.delete(u32(4)), 'E2BIG'],
    [() => map.setMap(u32(0), map), 'EINVAL'],
    [() => map.setProgram(u32(0), { name: 'foreign' } as never), 'EBADF'],
    [() => map.nextKey(u32(0)), u32(1)],
  ];
  for (const [work, expected] of rows) t.deepEqual(outcome(work), expected, String(work));
});

test('prog array: all programs are of one kind', (t) => {
  using vm = createVm();
  const map = progArray(vm);
  map.setProgram(u32(0), loadCode(vm, code));
  t.is(
    outcome(() => map.setProgram(u32(1), loadCode(vm, code, { type: BPF_PROG_TYPE.KPROBE }))),
    'EINVAL',
  );
  t.is(
    outcome(() => map.setProgram(u32(1), loadCode(vm, code, { flags: BPF_F_XDP_HAS_FRAGS }))),
    'EINVAL',
  );
  t.is(
    outcome(() => map.setProgram(u32(1), loadCode(vm, code))),
    undefined,
  );
});

test('a program lives as long as a prog array holds it, and the array lets go when it is closed', (t) => {
  using vm = createVm();
  const map = progArray(vm);
  const program = loadCode(vm, code);
  map.setProgram(u32(0), program);
  program.close();
  t.is(
    outcome(() => program.testRun({ data: new Uint8Array(14) })),
    'closed',
  );
  t.truthy(vm.loadedProgram(program.id));
  map.close();
  t.is(vm.loadedProgram(program.id), undefined);
});

for (const type of [BPF_MAP_TYPE.ARRAY_OF_MAPS, BPF_MAP_TYPE.HASH_OF_MAPS]) {
  test(`map of maps, type ${type}: ids come back, and every errno`, (t) => {
    using vm = createVm();
    const inner = vm.createMap(specOf(), { btf: undefined });
    const outer = vm.createMap(specOf({ type, valueSize: 4 }), { btf: undefined, inner });
    const array = type === BPF_MAP_TYPE.ARRAY_OF_MAPS;
    outer.setMap(u32(1), inner);
    const rows: readonly (readonly [() => unknown, unknown])[] = [
      [() => outer.lookup(u32(1)), u32(inner.id)],
      [() => outer.lookup(u32(0)), undefined],
      [() => outer.lookup(u32(77)), undefined],
      [() => outer.setMap(u32(77), inner), array ? 'E2BIG' : undefined],
      [() => outer.setMap(u32(0), outer), 'EINVAL'],
      [() => outer.setMap(u32(0), {} as BackendMap), 'EBADF'],
      [() => outer.update(u32(0), u32(1)), 'EBADF'],
      [() => outer.setProgram(u32(0), loadCode(vm, code)), 'EINVAL'],
      [() => outer.delete(u32(1)), true],
      [() => outer.delete(u32(1)), false],
    ];
    for (const [work, expected] of rows) t.deepEqual(outcome(work), expected, String(work));
  });

  test(`map of maps, type ${type}: inner maps must be like the template`, (t) => {
    using vm = createVm();
    const inner = vm.createMap(specOf(), { btf: undefined });
    const outer = vm.createMap(specOf({ type, valueSize: 4 }), { btf: undefined, inner });
    const rows = [
      [{ maxEntries: 100 }, undefined],
      [{ keySize: 8 }, 'EINVAL'],
      [{ valueSize: 4 }, 'EINVAL'],
      [{ flags: 1 }, 'EINVAL'],
      [{ type: BPF_MAP_TYPE.ARRAY }, 'EINVAL'],
    ] as const;
    for (const [more, expected] of rows) {
      const candidate = vm.createMap(specOf(more), { btf: undefined });
      t.is(
        outcome(() => outer.setMap(u32(0), candidate)),
        expected,
      );
    }
  });

  test(`map of maps, type ${type}: an inner map lives as long as it is held`, (t) => {
    using vm = createVm();
    const before = vm.stats().inUse;
    const template = vm.createMap(specOf(), { btf: undefined });
    const outer = vm.createMap(specOf({ type, valueSize: 4 }), { btf: undefined, inner: template });
    const inner = vm.createMap(specOf(), { btf: undefined });
    outer.setMap(u32(0), inner);
    outer.setMap(u32(0), template);
    outer.setMap(u32(0), inner);
    inner.close();
    t.is(outer.elementLookup(u32(0), 0, 0), inner.header);
    t.is(vm.mapAt(inner.header), inner);
    outer.close();
    t.is(vm.mapAt(inner.header), undefined);
    template.close();
    t.is(vm.stats().inUse, before);
  });
}
