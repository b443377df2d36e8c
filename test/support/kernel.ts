// What the tests against the running kernel share.
import { readdirSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { BPF_CMD, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { Insns } from '../../src/asm/insns.ts';
import { Attr } from '../../src/kernel/attr.ts';
import { kernelSupport } from '../../src/kernel/probe.ts';
import { type BpfCall, type KernelCalls, systemCalls } from '../../src/kernel/sys.ts';
import type { ProgramImage } from '../../src/object/image.ts';
import type { MapSpec } from '../../src/object/spec.ts';

/** Whether tests may use the kernel, and if not, why. */
export const support = kernelSupport();

/** A test that needs the kernel: where there is none, it is skipped with the reason in its title. */
export function kernelTest(title: string, fn: (t: ExecutionContext) => void | Promise<void>): void {
  if (support.ok) test.serial(title, fn);
  else test.skip(`${title} (no kernel: ${support.reason})`, fn);
}

/** An instruction: opcode, destination, source, offset, immediate. */
export type Row = readonly [code: number, dst: number, src: number, off: number, imm: number];

export function assemble(rows: readonly Row[]): Insns {
  const insns = new Insns(rows.length);
  rows.forEach(([code, dst, src, off, imm], at) => {
    insns.code[at] = code;
    insns.dst[at] = dst;
    insns.src[at] = src;
    insns.off[at] = off;
    insns.imm[at] = imm;
  });
  return insns;
}

/** A program image with nothing but instructions; `more` overrides the rest. */
export function imageOf(rows: readonly Row[], more: Partial<ProgramImage> = {}): ProgramImage {
  return {
    name: 'test_program',
    section: 'xdp',
    type: BPF_PROG_TYPE.XDP,
    attachType: 0,
    attachTarget: undefined,
    flags: 0,
    license: 'GPL',
    kernelVersion: 0,
    littleEndian: true,
    insns: assemble(rows),
    slots: [],
    functions: [],
    funcInfo: [],
    lineInfo: [],
    btf: undefined,
    poisoned: [],
    ...more,
  };
}

/** An array of four 8-byte values; `more` overrides. */
export function mapOf(more: Partial<MapSpec> = {}): MapSpec {
  return {
    name: 'test_map',
    kernelName: 'test_map',
    type: BPF_MAP_TYPE.ARRAY,
    keySize: 4,
    valueSize: 8,
    maxEntries: 4,
    flags: 0,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: undefined,
    pinning: 'none',
    inner: undefined,
    values: [],
    data: undefined,
    ...more,
  };
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function u64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

/** Everything that a leak would add to: open descriptors, ids of maps, programs and BTFs. */
export interface Inventory {
  readonly descriptors: readonly string[];
  readonly maps: readonly number[];
  readonly programs: readonly number[];
  readonly btfs: readonly number[];
}

export function takeInventory(): Inventory {
  return {
    descriptors: readdirSync('/proc/self/fd').sort(),
    maps: idsOf('MAP_GET_NEXT_ID'),
    programs: idsOf('PROG_GET_NEXT_ID'),
    btfs: idsOf('BTF_GET_NEXT_ID'),
  };
}

function idsOf(command: 'MAP_GET_NEXT_ID' | 'PROG_GET_NEXT_ID' | 'BTF_GET_NEXT_ID'): number[] {
  const calls = systemCalls();
  const ids: number[] = [];
  for (;;) {
    const attr = new Attr(command).set('start_id', ids.at(-1) ?? 0);
    if (calls.bpf(attr) < 0) return ids;
    ids.push(attr.get('next_id'));
  }
}

/**
 * Waits until the kernel has freed what was closed: it does so after a grace period. Fails
 * the test if something of ours is still there after two seconds.
 */
export async function expectInventory(t: ExecutionContext, before: Inventory): Promise<void> {
  let extra = newIn(before, takeInventory());
  for (let i = 0; i < 100 && extra !== ''; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    extra = newIn(before, takeInventory());
  }
  t.is(extra, '', 'left behind');
}

/** What is in `after` but not in `before`, in words. */
function newIn(before: Inventory, after: Inventory): string {
  const added = (key: keyof Inventory): string => {
    const known = new Set<unknown>(before[key]);
    const rest = (after[key] as readonly unknown[]).filter((id) => !known.has(id));
    return rest.length === 0 ? '' : `${key} ${rest.join(' ')}`;
  };
  return (Object.keys(after) as (keyof Inventory)[]).map(added).join('');
}

const commandNames = new Map<number, string>(
  Object.entries(BPF_CMD).map(([name, number]) => [number, name]),
);

/** The machine's calls, of which `decide` may let any fail: it gives a negative errno, or undefined. */
export function wrapCalls(
  decide: (call: string, index: number) => number | undefined,
): KernelCalls & { readonly seen: readonly string[] } {
  const real = systemCalls();
  const seen: string[] = [];
  const intercept = (name: string, work: () => number): number => {
    const failure = decide(name, seen.length);
    seen.push(name);
    return failure ?? work();
  };
  return {
    seen,
    pageSize: real.pageSize,
    bpf: (call: BpfCall) => {
      return intercept(commandNames.get(call.number) ?? '?', () => real.bpf(call));
    },
    mmap: (request) => intercept('mmap', () => real.mmap(request)),
    moveMapping: (from, length, to) => {
      return intercept('mremap', () => real.moveMapping(from, length, to));
    },
    munmap: (address, length) => real.munmap(address, length),
    close: (fd) => real.close(fd),
  };
}
