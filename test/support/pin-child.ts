// What the tests of pinning do in a mount namespace of their own, where bpffs is mounted at
// the folder given. Prints what it sees, as JSON.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import { type InsnIndex, Insns } from '../../src/asm/insns.ts';
import { Attr } from '../../src/kernel/attr.ts';
import { createKernelBackend, type KernelProgram } from '../../src/kernel/index.ts';
import { copyNative, systemCalls } from '../../src/kernel/sys.ts';
import { loadObject } from '../../src/loader/load.ts';
import type { FunctionIndex, MapSpec, ObjectSpec } from '../../src/object/spec.ts';

function mapOf(more: Partial<MapSpec>): MapSpec {
  return {
    ...{ name: 'test', kernelName: 'test', type: BPF_MAP_TYPE.ARRAY, keySize: 4, valueSize: 8 },
    ...{ maxEntries: 4, flags: 0, extra: 0n, numaNode: 0, keyType: undefined },
    ...{ valueType: undefined, pinning: 'none', inner: undefined, values: [], data: undefined },
    ...more,
  };
}

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);

/** An object with one program and no maps. */
function programSpec(): ObjectSpec {
  const insns = new Insns(2);
  insns.code.set([0xb7, 0x95]);
  const name = 'main';
  const code = {
    ...{ name, section: 'xdp', sectionOffset: 0 as InsnIndex, hidden: false },
    binding: 'global' as const,
    ...{ insns, relocations: [], coreRelocations: [], funcInfo: [], lineInfo: [] },
  };
  const program = {
    ...{ name, function: 0 as FunctionIndex, section: 'xdp', type: 6, attachType: 0 },
    ...{ attachTarget: undefined, flags: 0, autoload: true },
  };
  return { ...specOf(), functions: [code], programs: [program] };
}

const root = join(process.argv[2] ?? '', 'maps');

function specOf(...maps: readonly MapSpec[]): ObjectSpec {
  return {
    ...{ name: 'test', littleEndian: true, license: 'GPL', kernelVersion: 0, btf: undefined },
    ...{ functions: [], programs: [], externs: [], maps },
  };
}

const pinned = mapOf({ name: 'counts', pinning: 'by-name' });

function messageOf(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function load(spec: ObjectSpec): bigint {
  using backend = createKernelBackend();
  using object = loadObject(spec, { backend, pinRoot: root });
  const map = object.map('counts');
  const value = map.lookup(u32(1)) ?? new Uint8Array(8);
  const number = new DataView(value.buffer).getBigUint64(0, true);
  map.update(u32(1), u64(number + 1n));
  return number;
}

const path = join(root, 'counts');
const seen: Record<string, unknown> = {};
seen['values'] = [load(specOf(pinned)), load(specOf(pinned)), load(specOf(pinned))].map(Number);
seen['stays'] = existsSync(path);
seen['differs'] = messageOf(() => load(specOf({ ...pinned, maxEntries: 5 })));
const broken = mapOf({ name: 'broken', type: BPF_MAP_TYPE.HASH, keySize: 0 });
const fresh = { ...pinned, name: 'fresh' };
seen['fails'] = messageOf(() => load(specOf(pinned, fresh, broken)));
seen['unpinned'] = !existsSync(join(root, 'fresh'));
seen['kept'] = existsSync(path);
using backend = createKernelBackend();
backend.pins.unpin(path);
seen['gone'] = !existsSync(path);
seen['elsewhere'] = messageOf(() =>
  loadObject(specOf(pinned), { backend, pinRoot: '/tmp/tsbpf-no-bpffs' }),
);
const program = join(root, 'counts');
const loaded = loadObject(programSpec(), { backend });
const fd = (loaded.program('main') as KernelProgram).fd;
const pathname = copyNative(new TextEncoder().encode(`${program}\0`));
systemCalls().bpf(new Attr('OBJ_PIN').point('pathname', pathname).set('bpf_fd', fd));
seen['program'] = messageOf(() => load(specOf(pinned)));
console.log(JSON.stringify(seen));
