// The machine's vmlinux BTF against libbpf: parsing it, and looking up a thousand types by
// name and kind, spread over all named types, in a BTF that has built no index yet.
import { readFileSync } from 'node:fs';
import { type Btf, parseBtf } from '../src/btf/btf.ts';
import type { BtfKind, TypeId } from '../src/btf/types.ts';
import { coldSample } from './cold.ts';
import { coldLibbpf, LibbpfPeer, libbpfName } from './libbpf.ts';
import { type BenchOptions, type Group, interleaved, median, type Row, timed } from './measure.ts';

const vmlinux = '/sys/kernel/btf/vmlinux';
const lookups = 1000;

type Lookup = readonly [name: string, kind: BtfKind];

/** The same types that the peer takes: every nth that has a name. */
function chooseLookups(btf: Btf): readonly Lookup[] {
  const named: TypeId[] = [];
  for (let id = btf.firstId; id < btf.endId; id++) {
    if (btf.nameOffsetOf(id as TypeId) !== 0) named.push(id as TypeId);
  }
  const step = Math.max(1, Math.floor(named.length / lookups));
  const chosen = named.filter((_, i) => i % step === 0).slice(0, lookups);
  return chosen.map((id) => [btf.nameOf(id), btf.kindOf(id)]);
}

function timeLookups(bytes: Uint8Array, list: readonly Lookup[]): number {
  const btf = parseBtf(bytes);
  return timed(() => {
    for (const [name, kind] of list) {
      if (btf.find(name, kind) === undefined) throw new Error(`no type ${name}`);
    }
  });
}

async function warmRows(bytes: Uint8Array, { quick }: BenchOptions): Promise<readonly Row[]> {
  using peer = LibbpfPeer.start();
  const rounds = quick ? { rounds: 2, warmUp: 1 } : { rounds: 31, warmUp: 20 };
  const parse = await interleaved(
    () => timed(() => parseBtf(bytes)),
    peer && (() => peer.parseBtf(vmlinux)),
    rounds,
  );
  const list = chooseLookups(parseBtf(bytes));
  const find = await interleaved(
    () => timeLookups(bytes, list),
    peer && (() => peer.lookup(vmlinux, lookups)),
    quick ? rounds : { rounds: 15, warmUp: 20 },
  );
  return [
    { name: 'btf/parse vmlinux/warm', ...parse, peerName: libbpfName, goal: 0.7 },
    { name: 'btf/1000 lookups/warm', ...find, peerName: libbpfName, goal: 1 / 60 },
  ];
}

/** The first BTF that a process parses. */
async function coldRow({ quick }: BenchOptions): Promise<Row> {
  const code = `
    const { parseBtf } = await load('src/btf/btf.js');
    const bytes = new Uint8Array(readFileSync('${vmlinux}'));
    start();
    parseBtf(bytes);
    stop();`;
  const ours: number[] = [];
  const peers: number[] = [];
  for (let i = 0; i < (quick ? 1 : 9); i++) {
    ours.push(coldSample(code));
    const sample = await coldLibbpf((peer) => peer.parseBtf(vmlinux));
    if (sample !== undefined) peers.push(sample);
  }
  const peer = peers.length === 0 ? undefined : median(peers);
  const name = 'btf/parse vmlinux/cold';
  return { name, ours: median(ours), peer, peerName: libbpfName, goal: undefined };
}

async function rows(options: BenchOptions): Promise<readonly Row[]> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(vmlinux));
  } catch {
    return [];
  }
  return [...(await warmRows(bytes, options)), await coldRow(options)];
}

export const btfGroup: Group = { name: 'btf', rows };
