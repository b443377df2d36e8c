// The machine's vmlinux BTF against libbpf: parsing it, looking up a thousand types by name
// and kind, spread over all named types, in a BTF that has built no index yet, writing it as
// C, deduplicating two of it; and the memory that it takes.
import { readFileSync } from 'node:fs';
import { type Btf, parseBtf } from '../src/btf/btf.ts';
import { appendBtf } from '../src/btf/dedup/append.ts';
import { dedupBtf } from '../src/btf/dedup/dedup.ts';
import { dumpCBytes } from '../src/btf/dump/c.ts';
import type { BtfKind, TypeId } from '../src/btf/types.ts';
import { coldSample, memorySample } from './cold.ts';
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
  const few = { rounds: 2, warmUp: 1 };
  const parse = await interleaved(
    () => timed(() => parseBtf(bytes)),
    peer && (() => peer.parseBtf(vmlinux)),
    quick ? few : { rounds: 31, warmUp: 20 },
  );
  const btf = parseBtf(bytes);
  const list = chooseLookups(btf);
  const find = await interleaved(
    () => timeLookups(bytes, list),
    peer && (() => peer.lookup(vmlinux, lookups)),
    quick ? few : { rounds: 15, warmUp: 20 },
  );
  const dump = await interleaved(
    () => timed(() => dumpCBytes(btf, { unsorted: true })),
    peer && (() => peer.dumpC(vmlinux)),
    quick ? few : { rounds: 15, warmUp: 10 },
  );
  const doubled = appendBtf(btf, btf);
  const dedup = await interleaved(
    () => timed(() => dedupBtf(doubled)),
    peer && (() => peer.dedup(vmlinux, 2)),
    quick ? few : { rounds: 7, warmUp: 3 },
  );
  const peerName = libbpfName;
  return [
    { name: 'btf/parse vmlinux/warm', ...parse, peerName, goal: 0.7 },
    { name: 'btf/1000 lookups/warm', ...find, peerName, goal: 1 / 60 },
    { name: 'btf/C dump of vmlinux/warm', ...dump, peerName, goal: 1 },
    { name: 'btf/dedup of doubled vmlinux/warm', ...dedup, peerName, goal: 1.5 },
  ];
}

/** Work that a fresh process does first, and what the peer does likewise. */
interface ColdWork {
  readonly name: string;
  /** Statements with `start()` and `stop()`; `bytes` and `parseBtf` are there. */
  readonly code: string;
  readonly peer: (peer: LibbpfPeer) => Promise<number>;
}

const coldWorks: readonly ColdWork[] = [
  {
    name: 'btf/parse vmlinux/cold',
    code: 'start(); parseBtf(bytes); stop();',
    peer: (peer) => peer.parseBtf(vmlinux),
  },
  {
    name: 'btf/1000 lookups/cold',
    code: `
      const other = parseBtf(bytes);
      const step = Math.max(1, Math.floor(other.endId / ${lookups}));
      const list = [];
      for (let id = 1; list.length < ${lookups} && id < other.endId; id++) {
        if (id % step === 0 && other.nameOf(id) !== '') list.push([other.nameOf(id), other.kindOf(id)]);
      }
      const btf = parseBtf(bytes);
      start();
      for (const [name, kind] of list) btf.find(name, kind);
      stop();`,
    peer: (peer) => peer.lookup(vmlinux, lookups),
  },
  {
    name: 'btf/C dump of vmlinux/cold',
    code: `
      const { dumpCBytes } = await load('src/btf/dump/c.js');
      const btf = parseBtf(bytes);
      start();
      dumpCBytes(btf, { unsorted: true });
      stop();`,
    peer: (peer) => peer.dumpC(vmlinux),
  },
  {
    name: 'btf/dedup of doubled vmlinux/cold',
    code: `
      const { appendBtf } = await load('src/btf/dedup/append.js');
      const { dedupBtf } = await load('src/btf/dedup/dedup.js');
      const btf = parseBtf(bytes);
      const doubled = appendBtf(btf, btf);
      start();
      dedupBtf(doubled);
      stop();`,
    peer: (peer) => peer.dedup(vmlinux, 2),
  },
];

const loadParser = `const { parseBtf } = await load('src/btf/btf.js');`;
/** In a function, so that nothing keeps the first copy of the bytes. */
const readVmlinux = `
  const bytes = (() => new Uint8Array(readFileSync('${vmlinux}')))();`;

/** The first time that a process does something. */
async function coldRow(work: ColdWork, { quick }: BenchOptions): Promise<Row> {
  const ours: number[] = [];
  const peers: number[] = [];
  for (let i = 0; i < (quick ? 1 : 9); i++) {
    ours.push(coldSample(`${loadParser} ${readVmlinux} ${work.code}`));
    const sample = await coldLibbpf(work.peer);
    if (sample !== undefined) peers.push(sample);
  }
  const peer = peers.length === 0 ? undefined : median(peers);
  return { name: work.name, ours: median(ours), peer, peerName: libbpfName, goal: undefined };
}

/** Memory of a parsed vmlinux, its bytes included, before and after names were looked up. */
function memoryRows(bytes: Uint8Array): readonly Row[] {
  const load = `${loadParser} start(); ${readVmlinux} const btf = parseBtf(bytes);`;
  const keep = 'stop(); globalThis.kept = btf;';
  const rest = { unit: 'bytes', peer: bytes.length, peerName: 'its size', goal: 2 } as const;
  return [
    { name: 'btf/memory of vmlinux', ours: memorySample(`${load} ${keep}`), ...rest },
    {
      name: 'btf/memory of vmlinux with names',
      ours: memorySample(`${load} btf.find('task_struct'); ${keep}`),
      ...rest,
    },
  ];
}

async function rows(options: BenchOptions): Promise<readonly Row[]> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(vmlinux));
  } catch {
    return [];
  }
  const cold: Row[] = [];
  for (const work of coldWorks) cold.push(await coldRow(work, options));
  return [...(await warmRows(bytes, options)), ...cold, ...memoryRows(bytes)];
}

export const btfGroup: Group = { name: 'btf', rows };
