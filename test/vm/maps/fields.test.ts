import test from 'ava';
import { BPF_F_LOCK, BPF_F_NO_PREALLOC, BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { Writer } from '../../../src/bytes/writer.ts';
import { createVm } from '../../../src/vm/index.ts';
import { findSpecialFields } from '../../../src/vm/maps/fields.ts';
import { outcome, specOf, u32 } from '../bench.ts';

/** Types: 1 int, 2 bpf_spin_lock, 3 inner { lock at 4 }, 4 value { int; inner at 8 }, 5 bpf_timer. */
function lockBtf(): Btf {
  const strings = '\0int\0val\0bpf_spin_lock\0inner\0value\0bpf_timer\0';
  const name = (text: string) => strings.indexOf(`\0${text}\0`) + 1;
  const types = new Writer({ littleEndian: true });
  const struct = (
    label: string,
    size: number,
    members: readonly (readonly [string, number, number])[],
  ) => {
    types
      .u32(name(label))
      .u32((4 << 24) | members.length)
      .u32(size);
    for (const [member, type, offset] of members)
      types
        .u32(name(member))
        .u32(type)
        .u32(offset * 8);
  };
  types
    .u32(name('int'))
    .u32(1 << 24)
    .u32(4)
    .u32(32);
  struct('bpf_spin_lock', 4, [['val', 1, 0]]);
  struct('inner', 8, [
    ['val', 1, 0],
    ['val', 2, 4],
  ]);
  struct('value', 16, [
    ['val', 1, 0],
    ['inner', 3, 8],
  ]);
  struct('bpf_timer', 16, []);
  const body = types.finish();
  const out = new Writer({ littleEndian: true });
  out.u16(0xeb9f).u8(1).u8(0).u32(24).u32(0).u32(body.length).u32(body.length).u32(strings.length);
  return parseBtf(out.bytes(body).bytes(new TextEncoder().encode(strings)).finish());
}

const btf = lockBtf();
const value = 4 as TypeId;

test('special fields are found in nested structs', (t) => {
  t.deepEqual(findSpecialFields(btf, value), [{ kind: 'spin-lock', offset: 12, size: 4 }]);
  t.deepEqual(findSpecialFields(btf, 1 as TypeId), []);
  t.deepEqual(findSpecialFields(undefined, value), []);
  t.deepEqual(findSpecialFields(btf, undefined), []);
});

for (const [title, type, flags] of [
  ['array', BPF_MAP_TYPE.ARRAY, 0],
  ['hash', BPF_MAP_TYPE.HASH, 0],
  ['hash on demand', BPF_MAP_TYPE.HASH, BPF_F_NO_PREALLOC],
] as const) {
  test(`${title}: user space neither reads nor writes a spin lock`, (t) => {
    using vm = createVm();
    const map = vm.createMap(specOf({ type, flags, valueSize: 16, valueType: value }), { btf });
    map.update(u32(1), new Uint8Array(16).fill(0xff));
    const at = map.elementLookup(u32(1), 0, 0);
    t.is(vm.memory.words[(at + 12) >>> 2], 0);
    vm.memory.words[(at + 12) >>> 2] = 1;
    const seen = map.lookup(u32(1));
    t.deepEqual(seen, new Uint8Array(16).fill(0xff, 0, 12));
    map.update(u32(1), new Uint8Array(16).fill(5), BPF_F_LOCK);
    t.is(map.elementLookup(u32(1), 0, 0), at, 'a locked update changes the value in place');
    t.is(vm.memory.words[(at + 12) >>> 2], 1);
    t.is(vm.memory.words[(at + 8) >>> 2], 0x0505_0505);
    t.is(
      outcome(() => map.freeze()),
      'ENOTSUPP',
    );
  });

  test(`${title}: without a spin lock BPF_F_LOCK is refused`, (t) => {
    using vm = createVm();
    const map = vm.createMap(specOf({ type, flags }), { btf });
    t.is(
      outcome(() => map.update(u32(0), new Uint8Array(8), BPF_F_LOCK)),
      'EINVAL',
    );
  });
}

test('a map with a spin lock is no inner map for a template without one', (t) => {
  using vm = createVm();
  const plain = vm.createMap(specOf({ valueSize: 16 }), { btf });
  const locked = vm.createMap(specOf({ valueSize: 16, valueType: value }), { btf });
  const outer = vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY_OF_MAPS, valueSize: 4 }), {
    btf,
    inner: plain,
  });
  t.is(
    outcome(() => outer.setMap(u32(0), locked)),
    'EINVAL',
  );
});
