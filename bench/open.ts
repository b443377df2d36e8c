// Opening objects (ELF, BTF, maps, programs), against libbpf's bpf_object__open_mem.
import { openObject } from '../src/object/open.ts';
import { fixture, fixtureEntries, fixturePath } from '../test/support/fixtures.ts';
import { coldSample } from './cold.ts';
import { coldLibbpf, LibbpfPeer, libbpfName } from './libbpf.ts';
import { type BenchOptions, type Group, interleaved, median, type Row, timed } from './measure.ts';

/** Names of the little-endian v3 fixtures that libbpf opens too. */
function names(): readonly string[] {
  return fixtureEntries()
    .filter(({ sha256 }) => sha256.v3 !== undefined)
    .filter(({ programs }) => programs.every(({ kernel }) => kernel !== 'refused'))
    .map(({ name }) => name);
}

function openAll(objects: readonly Uint8Array[]): void {
  for (const bytes of objects) openObject(bytes);
}

async function warm({ quick }: BenchOptions): Promise<Row> {
  const paths = names().map((name) => fixturePath(`v3/${name}.o`));
  const objects = names().map((name) => fixture(`v3/${name}`));
  using peer = LibbpfPeer.start();
  const times = await interleaved(
    () => timed(() => openAll(objects)),
    peer && (() => peer.open(paths)),
    quick ? { rounds: 3, warmUp: 1 } : { rounds: 101, warmUp: 200 },
  );
  return { name: 'open/fixtures/warm', ...times, peerName: libbpfName, goal: 1 };
}

/** The first object that a process opens. */
async function cold({ quick }: BenchOptions): Promise<Row> {
  const path = fixturePath('v3/xdp_counter.o');
  const code = `
    const { openObject } = await load('src/object/open.js');
    const bytes = new Uint8Array(readFileSync(${JSON.stringify(path)}));
    start();
    openObject(bytes);
    stop();`;
  const ours: number[] = [];
  const peers: number[] = [];
  for (let i = 0; i < (quick ? 1 : 9); i++) {
    ours.push(coldSample(code));
    const sample = await coldLibbpf((peer) => peer.open([path]));
    if (sample !== undefined) peers.push(sample);
  }
  const peer = peers.length === 0 ? undefined : median(peers);
  return { name: 'open/one/cold', ours: median(ours), peer, peerName: libbpfName, goal: undefined };
}

export const openGroup: Group = {
  name: 'open',
  rows: async (options) => [await warm(options), await cold(options)],
};
