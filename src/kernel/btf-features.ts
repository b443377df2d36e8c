import { writeBtf } from '../btf/tools/reencode.ts';
import type { BtfFeature } from '../btf/tools/sanitise.ts';
import { BTF_KIND, type BtfKind } from '../btf/types.ts';
import { Attr, hostLittleEndian } from './attr.ts';
import { copyNative, type KernelCalls } from './sys.ts';

/** What kernels are asked for; a layout section is never handed over, they have no use for it. */
export type ProbedFeature = Exclude<BtfFeature, 'layout'>;

const info = (kind: BtfKind, vlen = 0): number => ((kind << 24) | vlen) >>> 0;

/** `int`, as type 1, whose name is at offset 1 of {@link strings}. */
const int = [1, info(BTF_KIND.INT), 4, 0x0100_0020];
/** Names: `int` at 1, `x` at 5, `?s` at 7. */
const strings = new TextEncoder().encode('\0int\0x\0?s\0');
const functionType = [0, info(BTF_KIND.FUNC_PROTO, 1), 0, 5, 1];
const variable = [5, info(BTF_KIND.VAR), 1, 0];

/** A BTF with each feature and nothing else that is new; words after the `int`. */
const probes: readonly (readonly [ProbedFeature, readonly number[]])[] = [
  ['func', [...functionType, 5, info(BTF_KIND.FUNC), 2]],
  ['global-func', [...functionType, 5, info(BTF_KIND.FUNC, 1), 2]],
  ['datasec', [...variable, 5, info(BTF_KIND.DATASEC, 1), 4, 2, 0, 4]],
  ['qmark-datasec', [...variable, 7, info(BTF_KIND.DATASEC, 1), 4, 2, 0, 4]],
  ['float', [5, info(BTF_KIND.FLOAT), 4]],
  ['decl-tag', [...variable, 5, info(BTF_KIND.DECL_TAG), 2, 0xffff_ffff]],
  ['type-tag', [5, info(BTF_KIND.TYPE_TAG), 1, 0, info(BTF_KIND.PTR), 2]],
  ['enum64', [5, info(BTF_KIND.ENUM64, 1), 8, 5, 0, 0]],
];

function accepts(calls: KernelCalls, words: readonly number[]): boolean {
  const bytes = copyNative(
    writeBtf({ littleEndian: hostLittleEndian, words: Uint32Array.from(words), strings }),
  );
  const attr = new Attr('BTF_LOAD').point('btf', bytes).set('btf_size', bytes.bytes.length);
  const fd = calls.bpf(attr);
  if (fd >= 0) calls.close(fd);
  return fd >= 0;
}

/** Whether the kernel takes BTF at all (4.18). */
export function takesBtfAtAll(calls: KernelCalls): boolean {
  return accepts(calls, int);
}

const known = new WeakMap<KernelCalls, ReadonlySet<ProbedFeature>>();

/** What the running kernel's BTF understands; asked once. */
export function btfFeatures(calls: KernelCalls): ReadonlySet<ProbedFeature> {
  const before = known.get(calls);
  if (before !== undefined) return before;
  const found = probes.filter(([, words]) => accepts(calls, [...int, ...words]));
  const features = new Set(found.map(([feature]) => feature));
  known.set(calls, features);
  return features;
}

/** Every feature, as the newest kernels have them. */
export const allBtfFeatures: ReadonlySet<ProbedFeature> = new Set(probes.map(([name]) => name));
