import { BPF_FUNC } from '../../abi/bpf.ts';
import { OP, wordOp } from '../engine/operations.ts';
import type { LoweredCode } from '../engine/program.ts';
import { windows } from '../machine.ts';
import { engineArea } from '../memory.ts';
import type { ElementPlan, RingPlan } from './map-plans.ts';
import type { Area, Value } from './values.ts';

/** A helper call that compiled code carries out itself. */
export type FastCall =
  /** A number from the engine area: the clock at an offset there. */
  | { readonly kind: 'clock'; readonly at: number }
  | { readonly kind: 'random' }
  /** `bpf_loop` over the function that starts at a row. */
  | { readonly kind: 'loop'; readonly callback: number }
  | { readonly kind: 'reserve'; readonly ring: RingPlan; readonly element: Area | undefined }
  | { readonly kind: 'submit' | 'discard' }
  | { readonly kind: 'lookup' | 'update' | 'delete'; readonly map: ElementPlan }
  | { readonly kind: 'cpu' };

/** What a row's helper call comes to, given what is known of its arguments; undefined for the host's. */
export function fastCall(
  code: LoweredCode,
  row: number,
  values: readonly Value[],
): FastCall | undefined {
  if (wordOp(code.words[row] as number) !== OP.helper) return undefined;
  const number = code.imm[row] as number;
  const simple = simpleCalls.get(number);
  if (simple !== undefined) return simple;
  if (number === BPF_FUNC.loop) return fastLoop(code, values);
  const argument = values[1];
  if (argument?.kind !== 'map') return undefined;
  const { map } = argument;
  if (map.kind === 'ring') {
    if (number !== BPF_FUNC.ringbuf_reserve || !isZero(values[3])) return undefined;
    return { kind: 'reserve', ring: map, element: sampleArea(values[2]) };
  }
  switch (number) {
    case BPF_FUNC.map_lookup_elem:
      return map.lookup ? { kind: 'lookup', map } : undefined;
    case BPF_FUNC.map_update_elem:
      return map.update && isZero(values[4]) ? { kind: 'update', map } : undefined;
    case BPF_FUNC.map_delete_elem:
      return map.remove && map.kind === 'hash' ? { kind: 'delete', map } : undefined;
    default:
      return undefined;
  }
}

const simpleCalls: ReadonlyMap<number, FastCall> = new Map<number, FastCall>([
  [BPF_FUNC.get_smp_processor_id, { kind: 'cpu' }],
  [BPF_FUNC.ktime_get_ns, { kind: 'clock', at: engineArea.clocks }],
  [BPF_FUNC.ktime_get_boot_ns, { kind: 'clock', at: engineArea.clocks + 8 }],
  [BPF_FUNC.ktime_get_coarse_ns, { kind: 'clock', at: engineArea.clocks + 16 }],
  [BPF_FUNC.ktime_get_tai_ns, { kind: 'clock', at: engineArea.clocks + 24 }],
  [BPF_FUNC.get_prandom_u32, { kind: 'random' }],
  [BPF_FUNC.ringbuf_submit, { kind: 'submit' }],
  [BPF_FUNC.ringbuf_discard, { kind: 'discard' }],
]);

/** A loop over a function of the program itself. */
function fastLoop(code: LoweredCode, values: readonly Value[]): FastCall | undefined {
  const address = values[2];
  if (address?.kind !== 'constant' || !isZero(values[4])) return undefined;
  if (address.value >> 32n !== BigInt(windows.code >>> 0)) return undefined;
  const insn = (Number(address.value & 0xffff_ffffn) - code.codeBase) / 8;
  const callback = code.addressTaken.get(insn);
  return callback === undefined ? undefined : { kind: 'loop', callback };
}

const samples = new Map<number, Area>();

/** Memory of a sample whose size is known; one object for each size, since areas are compared by identity. */
function sampleArea(size: Value): Area | undefined {
  if (size?.kind !== 'constant' || size.value > 0xffffn) return undefined;
  const bytes = Number(size.value);
  const area = samples.get(bytes) ?? { start: undefined, size: bytes, readOnly: false };
  samples.set(bytes, area);
  return area;
}

function isZero(value: Value): boolean {
  return value?.kind === 'constant' && value.value === 0n;
}

/** What is known of the result. */
export function fastResult(call: FastCall): Value {
  switch (call.kind) {
    case 'lookup':
      return { kind: 'pointer', area: call.map.element, low: 0, high: 0, nullable: true };
    case 'cpu':
      return { kind: 'number', most: 63 };
    case 'random':
      return { kind: 'number', most: 0xffff_ffff };
    case 'reserve':
      return (
        call.element && { kind: 'pointer', area: call.element, low: 0, high: 0, nullable: true }
      );
    default:
      return undefined;
  }
}
