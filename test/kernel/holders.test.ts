import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { holdersOf } from '../../src/kernel/holders.ts';
import { createKernelBackend, findKernelMap, listKernelMaps } from '../../src/kernel/index.ts';
import { kernelTest, mapOf } from '../support/kernel.ts';

test('descriptors are of what their first id says', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'tsbpf-proc-'));
  t.teardown(() => rmSync(proc, { recursive: true }));
  const fds: Readonly<Record<string, readonly string[]>> = {
    11: ['link_type:\txdp\nlink_id:\t7\nprog_tag:\tab\nprog_id:\t3\n', 'pos:\t0\nflags:\t02\n'],
    9: [
      'prog_type:\t6\nprog_id:\t3\n',
      'prog_type:\t6\nprog_id:\t3\n',
      'map_type:\t3\nmap_id:\t5\n',
    ],
    self: ['btf_id:\t1\n'],
  };
  for (const [pid, infos] of Object.entries(fds)) {
    mkdirSync(join(proc, pid, 'fdinfo'), { recursive: true });
    writeFileSync(join(proc, pid, 'comm'), `process ${pid}\n`);
    for (const [fd, text] of infos.entries()) {
      writeFileSync(join(proc, pid, 'fdinfo', String(fd)), text);
    }
  }
  // A process without descriptors that may be read.
  mkdirSync(join(proc, '5'));
  t.deepEqual([...holdersOf('program', proc)], [[3, [{ pid: 9, command: 'process 9' }]]]);
  t.deepEqual([...holdersOf('link', proc)], [[7, [{ pid: 11, command: 'process 11' }]]]);
  t.deepEqual([...holdersOf('map', proc)], [[5, [{ pid: 9, command: 'process 9' }]]]);
  t.deepEqual([...holdersOf('btf', proc)], []);
});

kernelTest('a map is found by id and name, with the process that holds it', (t) => {
  using kernel = createKernelBackend();
  using map = kernel.createMap(mapOf({ kernelName: 'held_by_test' }), { btf: undefined });
  const found = findKernelMap({ by: 'name', name: 'held_by_test' });
  t.is(found.maxEntries, map.maxEntries);
  t.deepEqual(findKernelMap({ by: 'id', id: found.id }), found);
  t.true(listKernelMaps().some(({ id }) => id === found.id));
  t.true(
    holdersOf('map')
      .get(found.id)
      ?.some(({ pid }) => pid === process.pid),
  );
  using _other = kernel.createMap(mapOf({ kernelName: 'held_by_test' }), { btf: undefined });
  t.throws(() => findKernelMap({ by: 'name', name: 'held_by_test' }), {
    message: /several maps have the name 'held_by_test': give one of the ids \d+, \d+$/,
  });
  t.throws(() => findKernelMap({ by: 'name', name: 'no_such_map' }), {
    message: /ENOENT.*the kernel holds no map with the name 'no_such_map'$/,
  });
});
