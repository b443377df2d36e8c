// Random prefixes in tries of both backends: every answer is the same.
import { BPF_F_NO_PREALLOC, BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import type { Backend } from '../../src/backend/backend.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { createVm } from '../../src/vm/index.ts';
import { kernelTest, mapOf, u32 } from '../support/kernel.ts';
import { seededRandom } from '../vm/random-programs.ts';
import { contentsOf, outcomeOf } from './outcome.ts';

const dataSize = 3;
const keySize = 4 + dataSize;

function answers(backend: Backend, seed: number): unknown[] {
  const next = seededRandom(seed);
  const spec = mapOf({
    type: BPF_MAP_TYPE.LPM_TRIE,
    keySize,
    valueSize: 4,
    maxEntries: 60,
    flags: BPF_F_NO_PREALLOC,
  });
  using map = backend.createMap(spec, { btf: undefined });
  const key = (): Uint8Array => {
    const bytes = new Uint8Array(keySize);
    bytes.set(u32(next(8 * dataSize + 2)));
    // Few values, so that prefixes share much; bits behind the prefix are anything.
    for (let i = 0; i < dataSize; i++) bytes[4 + i] = [0, 255, 128, 127, 85][next(5)] as number;
    return bytes;
  };
  const seen: unknown[] = [];
  for (let i = 0; i < 800; i++) {
    const kind = next(10);
    if (kind < 4) seen.push(outcomeOf(() => map.update(key(), u32(i), next(3))));
    else if (kind < 6) seen.push(outcomeOf(() => map.delete(key())));
    else if (kind < 9) seen.push(outcomeOf(() => map.lookup(key())));
    else seen.push(outcomeOf(() => map.nextKey(key())));
    if (i % 100 === 99) seen.push(contentsOf(map));
  }
  const order: string[] = [];
  for (let at = map.nextKey(undefined); at !== undefined; at = map.nextKey(at)) {
    order.push(at.join(' '));
  }
  return [...seen, order];
}

kernelTest('tries answer alike, whatever comes and goes', (t) => {
  using vm = createVm();
  using kernel = createKernelBackend();
  const { inUse } = vm.stats();
  for (const seed of [1, 2, 3]) t.deepEqual(answers(vm, seed), answers(kernel, seed), `${seed}`);
  t.is(vm.stats().inUse, inUse, 'the memory of tries is given back');
});
