import { BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } from '../../abi/bpf.ts';
import { OP, wordOp } from '../engine/operations.ts';
import type { LoweredProgram } from '../engine/program.ts';
import { ArrayMap, PercpuArrayMap } from '../maps/array.ts';
import { HashMap, PercpuHashMap } from '../maps/hash.ts';
import type { VmMap } from '../maps/map.ts';
import { RingBufferMap } from '../maps/ring-buffer.ts';
import type { Area } from './values.ts';

/** What every map has that compiled code uses without leaving WebAssembly. */
interface CommonPlan {
  readonly keySize: number;
  readonly valueSize: number;
  readonly valueStride: number;
  readonly maxEntries: number;
  /** What lookups of it point to. */
  readonly element: Area;
  /** Each CPU has values of its own. */
  readonly perCpu: boolean;
  /** Programs may look up; update, and no field of the value belongs to the kernel; delete. */
  readonly lookup: boolean;
  readonly update: boolean;
  readonly remove: boolean;
}

/** A ring buffer. */
export interface RingPlan {
  readonly kind: 'ring';
  /** Offset of page 0, and of the data. */
  readonly base: number;
  readonly data: number;
  readonly pageSize: number;
  /** Bytes of data, a power of two. */
  readonly maxEntries: number;
}

/** A map, as far as compiled code needs to know it. */
export type MapPlan = ElementPlan | RingPlan;

/** An array or a hash table. */
export type ElementPlan =
  | (CommonPlan & {
      readonly kind: 'array';
      /** Offset of the first value. */
      readonly elements: number;
      /** Byte order of the index. */
      readonly littleEndian: boolean;
    })
  | (CommonPlan & {
      readonly kind: 'hash';
      /** Offset of what changes, see `tableState`. */
      readonly state: number;
      readonly seed: number;
      /** Bytes of an element, and where in it the value is. */
      readonly stride: number;
      readonly payloadOffset: number;
      /** The bucket array may grow. */
      readonly grows: boolean;
    });

/** Finds a map by its header's offset. */
export type MapFinder = (header: number) => VmMap | undefined;

/** Longer keys and values cost budget in helpers. */
const longestKey = 64;
const longestValue = 256;

/** Maps whose addresses rows load, by row. */
export function findMaps(
  { code, image }: LoweredProgram,
  mapAt: MapFinder,
): ReadonlyMap<number, MapPlan> {
  const insns = new Set<number>();
  for (const slot of image.slots) if (slot.kind === 'map') insns.add(slot.insn);
  const plans = new Map<number, MapPlan>();
  const known = new Map<VmMap, MapPlan | undefined>();
  for (let row = 0; row < code.length && insns.size > 0; row++) {
    if (!insns.has(code.source[row] as number)) continue;
    if (wordOp(code.words[row] as number) !== OP.mov64Imm) continue;
    const map = mapAt((code.imm[row] as number) >>> 0);
    if (map === undefined) continue;
    if (!known.has(map)) known.set(map, planMap(map));
    const plan = known.get(map);
    if (plan !== undefined) plans.set(row, plan);
  }
  return plans;
}

function planMap(map: VmMap): MapPlan | undefined {
  if (map instanceof RingBufferMap) {
    const { base, data, pageSize, maxEntries } = map;
    const whole = (maxEntries & (maxEntries - 1)) === 0;
    return whole ? { kind: 'ring', base, data, pageSize, maxEntries } : undefined;
  }
  if (map.keySize > longestKey || map.valueSize > longestValue) return undefined;
  const readOnly = (map.flags & BPF_F_RDONLY_PROG) !== 0;
  const common = {
    keySize: map.keySize,
    valueSize: map.valueSize,
    valueStride: map.valueStride,
    maxEntries: map.maxEntries,
    element: { start: undefined, size: map.valueSize, readOnly },
    perCpu: map.isPercpu,
    lookup: (map.flags & BPF_F_WRONLY_PROG) === 0,
    update: !readOnly && map.special.length === 0,
    remove: !readOnly && !map.programsMayNotDelete,
  };
  if (map instanceof ArrayMap || map instanceof PercpuArrayMap) {
    const { elements, littleEndian } = map;
    return { ...common, kind: 'array', elements, littleEndian, remove: false };
  }
  // Compiled code keeps no account of which elements were used.
  if ((map instanceof HashMap || map instanceof PercpuHashMap) && map.eviction === undefined) {
    const { state, seed, stride, payloadOffset } = map.table;
    const grows = (map.flags & BPF_F_NO_PREALLOC) !== 0;
    return { ...common, kind: 'hash', state, seed, stride, payloadOffset, grows };
  }
  return undefined;
}
