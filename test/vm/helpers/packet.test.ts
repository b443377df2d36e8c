import test from 'ava';
import { BPF_PROG_TYPE } from '../../../src/abi/bpf.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { Skb } from '../../../src/vm/contexts/skb.ts';
import { SkbContext } from '../../../src/vm/contexts/skb-context.ts';
import { skbAccess } from '../../../src/vm/contexts/skb-fields.ts';
import { XdpContext } from '../../../src/vm/contexts/xdp.ts';
import { MemoryFault, windows } from '../../../src/vm/machine.ts';
import { HelperBench, u64 } from '../bench.ts';

/** 64 bytes that count up in sevens, with an IPv4 type. The kernel's results below are for it. */
function packet(length = 64): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, i) => i * 7 + 1);
  bytes.set([8, 0, 0x45], 12);
  return bytes;
}

interface SkbBench {
  readonly bench: HelperBench;
  readonly skb: Skb;
  /** Calls a helper with the context as its first argument. */
  readonly call: (name: Parameters<HelperBench['call']>[0], ...args: (bigint | number)[]) => bigint;
}

const contextPointer = (context: { readonly addressLow: number }) =>
  (BigInt(windows.context >>> 0) << 32n) | BigInt(context.addressLow);

function skbBench(length = 64): SkbBench {
  let skb: Skb | undefined;
  const bench = new HelperBench({}, (vm) => {
    skb = new Skb(vm.memory, packet(length), { link: true });
    const access = skbAccess.get(BPF_PROG_TYPE.SCHED_CLS);
    if (access === undefined) throw new Error('no rules');
    return new SkbContext(skb, access, true);
  });
  if (skb === undefined) throw new Error('no packet');
  const self = contextPointer(bench.run.context);
  return { bench, skb, call: (name, ...args) => bench.call(name, self, ...args) };
}

function xdpBench(length = 64, fragments = 0) {
  let xdp: XdpContext | undefined;
  const bench = new HelperBench({}, (vm) => {
    xdp = new XdpContext(vm.memory, {
      packet: packet(length),
      fragments: new Uint8Array(fragments).fill(0xf0),
      metadata: 0,
      ingressIfindex: 1,
      queue: 0,
      pageSize: 4096,
      attachType: 0,
    });
    return xdp;
  });
  if (xdp === undefined) throw new Error('no packet');
  const self = contextPointer(bench.run.context);
  const call: SkbBench['call'] = (name, ...args) => bench.call(name, self, ...args);
  return { bench, xdp, call };
}

test('skb_store_bytes, checksums and the rest: results and packet as on Linux 6.18', (t) => {
  const { bench, skb, call } = skbBench();
  const from = bench.place(u64(0x0807060504030201n));
  const results = [
    call('skb_store_bytes', 30, from, 8, 0),
    call('skb_store_bytes', 60, from, 8, 0),
    call('skb_store_bytes', 0, from, 8, 4),
    call('skb_store_bytes', 0, from, 6, 1),
    call('skb_load_bytes', 58, from, 8),
    call('l3_csum_replace', 24, 0x1234, 0x4321, 2),
    call('l3_csum_replace', 25, 1, 2, 2),
    call('l3_csum_replace', 24, 1, 2, 3),
    call('l3_csum_replace', 24, 0x11223344, 0x55667788, 4),
    call('l3_csum_replace', 24, 0, 0x9988, 0),
    call('l3_csum_replace', 24, 1, 0x9988, 0),
    call('l4_csum_replace', 40, 0x11223344, 0x55667788, 4 | 16),
    call('l4_csum_replace', 40, 0x11, 0x22, 2 | 32),
    call('l4_csum_replace', 42, 0x11, 0x22, 2 | 64 | 32),
    call('l4_csum_replace', 42, 0x11, 0x22, 2 | 256),
    call('csum_update', 1),
    call('set_hash_invalid'),
    call('set_hash', 5),
    call('skb_change_type', 1),
    call('skb_change_type', 4),
    call('skb_pull_data', 0),
    call('skb_pull_data', 64),
    call('skb_pull_data', 65),
    call('l3_csum_replace', 62, 1, 2, 2),
    call('l3_csum_replace', 64, 1, 2, 2),
    call('l3_csum_replace', 24, 0xffff, 0, 2),
    call('l3_csum_replace', 26, 0, 0xffff, 2),
    call('l4_csum_replace', 28, 0, 0xffff_ffff, 4),
    call('l3_csum_replace', 24, 0, 0xffff_ffff, 0),
  ].map(Number);
  t.deepEqual(results, [
    ...[0, -14, -22, 0, -14, 0, -14, -22, 0, 0, -22, 0, 0, 0, -22, -524, 0, 0, 0, -22, 0, 0, -12],
    ...[0, -14, 0, 0, 0, 0],
  ]);
  t.deepEqual([skb.hash, skb.packetType], [5, 1]);
  t.is(
    toHex(skb.packet.copy()),
    '0102030405062b323940474e0800456a71787f868d949ba2ab5db7bec5cc01020304050607080b127f97162e353c434a51585f666d747b828990979ea5acb2ba',
  );
});

test('csum_diff as on Linux 6.18', (t) => {
  using bench = new HelperBench();
  const words = (...values: number[]) =>
    bench.place(new Uint8Array(Uint32Array.from(values).buffer));
  const a = words(0x11223344, 0xffffffff, 0, 0xdeadbeef);
  const b = words(0xffffffff, 0xffffffff, 1, 2);
  const z = words(0, 0);
  const f = words(0xffffffff, 0xffffffff);
  const rows = [
    [a, 16, b, 16, 0, 7679],
    [0, 0, b, 16, 0, 3],
    [a, 16, 0, 0, 0, 7676],
    [0, 0, 0, 0, 0x12345678, 26796],
    [a, 8, b, 16, 0xfffffffe, 48027],
    [a, 16, b, 16, 0xffff0000, 7679],
    [z, 8, z, 8, 0, 65535],
    [0, 0, z, 8, 0, 0],
    [z, 8, 0, 0, 0, 0],
    [0, 0, f, 8, 0, 65535],
    [f, 8, f, 8, 0, 65535],
    [a, 4, a, 4, 1, 1],
    [a, 3, b, 4, 0, 52377],
    [0, 0, f, 4, 0xffffffff, 65535],
    [f, 8, 0, 0, 0xffffffff, 0],
    [z, 4, f, 4, 0, 65535],
  ] as const;
  for (const [from, fromSize, to, toSize, seed, expected] of rows) {
    t.is(bench.call('csum_diff', from, fromSize, to, toSize, seed), BigInt(expected));
  }
});

test('skb_load_bytes_relative counts from the link or the network header', (t) => {
  const { bench, call } = skbBench();
  const to = bench.place(new Uint8Array(4));
  const load = (offset: number, start: number) =>
    [
      Number(call('skb_load_bytes_relative', offset, to, 4, start)),
      toHex(bench.read(to, 4)),
    ] as const;
  t.deepEqual(load(0, 0), [0, '01080f16']);
  t.deepEqual(load(2, 1), [0, toHex(packet().subarray(16, 20))]);
  t.deepEqual(load(47, 1), [-14, '00000000']);
  t.deepEqual(load(60_000, 1), [-14, '00000000']);
  t.deepEqual(load(0, 2), [-14, '00000000']);
});

test('skb_change_tail and skb_change_head', (t) => {
  const { skb, call } = skbBench();
  const results = [
    call('skb_change_tail', 100, 0),
    call('skb_change_tail', 50, 0),
    call('skb_change_tail', 13, 0),
    call('skb_change_tail', 14, 1),
    call('skb_change_tail', 16_064, 0),
    call('skb_change_tail', 16_065, 0),
    call('skb_change_tail', 60, 0),
    call('skb_change_head', 8, 0),
    call('skb_change_head', 8, 1),
    call('skb_change_head', 200, 0),
    call('skb_change_head', 16_000, 0),
    call('skb_change_tail', 20, 0),
  ].map(Number);
  t.deepEqual(results, [0, 0, -22, -22, 0, -22, 0, 0, -22, 0, -22, -22]);
  const bytes = skb.packet.copy();
  t.is(bytes.length, 268);
  t.true(bytes.subarray(0, 208).every((byte) => byte === 0));
  t.deepEqual(bytes.subarray(208, 258), packet().subarray(0, 50));
  t.true(bytes.subarray(258).every((byte) => byte === 0));
});

test('VLAN tags: the outermost beside the packet, others in it', (t) => {
  const { skb, call } = skbBench();
  const state = () => [skb.length, skb.vlanPresent, skb.vlanTci, skb.vlanProtocol, skb.protocol];
  call('skb_vlan_push', 0x0081, 5);
  t.deepEqual(state(), [64, true, 5, 0x8100, 0x0800]);
  call('skb_vlan_push', 0xa888, 7);
  t.deepEqual(state(), [68, true, 7, 0x88a8, 0x8100]);
  t.is(toHex(skb.packet.copy().subarray(12, 18)), '810000050800');
  call('skb_vlan_push', 0x1234, 9);
  t.deepEqual(state(), [72, true, 9, 0x8100, 0x88a8]);
  call('skb_vlan_pop');
  t.deepEqual(state(), [68, true, 7, 0x88a8, 0x8100]);
  call('skb_vlan_pop');
  t.deepEqual(state(), [64, true, 5, 0x8100, 0x0800]);
  call('skb_vlan_pop');
  t.deepEqual(state(), [64, false, 0, 0, 0x0800]);
  t.is(call('skb_vlan_pop'), 0n);
  t.deepEqual(skb.packet.copy(), packet());
});

test('helpers of another context fault', (t) => {
  const { bench, call } = xdpBench();
  t.throws(() => call('skb_pull_data', 0), { instanceOf: MemoryFault });
  t.throws(() => bench.call('xdp_adjust_head', 5, 0), { instanceOf: MemoryFault });
});

test('xdp_adjust_head, meta and tail keep to the room there is', (t) => {
  const { xdp, call } = xdpBench();
  const results = [
    call('xdp_adjust_head', -216),
    call('xdp_get_buff_len'),
    call('xdp_adjust_head', -1),
    call('xdp_adjust_head', 300),
    call('xdp_adjust_head', 216),
    call('xdp_adjust_meta', -4),
    call('xdp_adjust_meta', -3),
    call('xdp_adjust_meta', -252),
    call('xdp_adjust_meta', 8),
    call('xdp_adjust_meta', -100),
    call('xdp_adjust_head', -100),
    call('xdp_adjust_tail', 3000),
    call('xdp_get_buff_len'),
    call('xdp_adjust_tail', 3000),
    call('xdp_adjust_tail', -3000),
    call('xdp_adjust_tail', -10_000),
  ].map(Number);
  t.deepEqual(results, [...[0, 280, -22, -22, 0, 0, -13, -22, -22, 0, 0, 0, 3164, -22, 0, -22]]);
  t.is(xdp.packetBuffer.data - xdp.meta, 104);
});

test('XDP fragments are reached by helpers only', (t) => {
  const { bench, xdp, call } = xdpBench(100, 5000);
  const to = bench.place(new Uint8Array(8));
  t.is(call('xdp_get_buff_len'), 5100n);
  t.is(call('xdp_load_bytes', 96, to, 8), 0n);
  t.is(toHex(bench.read(to, 8)), `${toHex(packet(100).subarray(96))}f0f0f0f0`);
  t.is(call('xdp_store_bytes', 98, bench.place(u64(0n)), 8), 0n);
  t.is(
    toHex(xdp.copy().subarray(96, 108)),
    `${toHex(packet(100).subarray(96, 98))}0000000000000000f0f0`,
  );
  t.is(call('xdp_load_bytes', 5093, to, 8), -22n);
  t.is(call('xdp_load_bytes', 70_000, to, 8), -14n);
  t.is(call('xdp_adjust_tail', 3193), -22n);
  t.is(call('xdp_adjust_tail', 3192), 0n);
  t.is(call('xdp_adjust_tail', -8242), 0n);
  t.deepEqual([xdp.fragmentLength, xdp.packetBuffer.length], [0, 50]);
});

test('redirects are noted', (t) => {
  const tc = skbBench();
  const rows = [
    [() => tc.bench.call('redirect', 3, 0), 7n],
    [() => tc.bench.call('redirect', 3, 1), 7n],
    [() => tc.bench.call('redirect', 3, 2), 2n],
    [() => tc.bench.call('redirect_neigh', 3, 0, 0, 1), 2n],
    [() => tc.bench.call('redirect_neigh', 3, 0, 0, 0), 7n],
    [() => tc.bench.call('redirect_peer', 3, 1), 2n],
    [() => tc.bench.call('redirect_peer', 4, 0), 7n],
  ] as const;
  for (const [work, expected] of rows) t.is(work(), expected);
  t.deepEqual(tc.skb.redirect, { kind: 'peer', ifindex: 4, flags: 0 });
  const { bench, xdp } = xdpBench();
  t.is(bench.call('redirect', 5, 1), 0n);
  t.is(bench.call('redirect', 5, 0), 4n);
  t.deepEqual(xdp.redirect, { kind: 'redirect', ifindex: 5, flags: 0 });
});
