import { ERRNO } from '../abi/errno.ts';
import type { Btf } from '../btf/btf.ts';
import { encodeBtf } from '../btf/tools/reencode.ts';
import { sanitiseBtf } from '../btf/tools/sanitise.ts';
import { BpfError } from '../errors.ts';
import { Attr, hostLittleEndian } from './attr.ts';
import { definedExterns } from './btf-externs.ts';
import { allBtfFeatures, btfFeatures, type ProbedFeature, takesBtfAtAll } from './btf-features.ts';
import { errnoName, likelyCause } from './errno.ts';
import { retryWithLog } from './log.ts';
import { copyNative, type KernelCalls, type NativeBytes } from './sys.ts';

/** A kernel descriptor of an object's types, shared by its maps and programs. */
interface LoadedBtf {
  readonly fd: number;
  users: number;
}

/**
 * Loads the types of objects into the kernel, each once, and closes each when its last
 * user has gone. The kernel keeps types that a map or program needs on its own; the
 * descriptor is kept so that the next map or program of the object finds it.
 */
export class BtfPool {
  readonly #calls: KernelCalls;
  readonly #loaded = new Map<Btf, LoadedBtf>();

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /**
   * A descriptor of `btf`, to be given back with {@link release}; undefined where the
   * kernel has no use for it: it knows no BTF, or the types are in the other byte order.
   */
  acquire(btf: Btf): number | undefined {
    if (btf.littleEndian !== hostLittleEndian || btf.base !== undefined) return undefined;
    const known = this.#loaded.get(btf);
    if (known !== undefined) {
      known.users++;
      return known.fd;
    }
    const fd = loadBtf(this.#calls, btf);
    if (fd !== undefined) this.#loaded.set(btf, { fd, users: 1 });
    return fd;
  }

  /** Ends one use of `btf`. */
  release(btf: Btf): void {
    const known = this.#loaded.get(btf);
    if (known === undefined) return;
    known.users--;
    if (known.users > 0) return;
    this.#loaded.delete(btf);
    this.#calls.close(known.fd);
  }
}

/**
 * An object's types as a kernel with `features` takes them: with definitions in place of
 * `extern` declarations, and without a layout section.
 */
export function kernelForm(btf: Btf, features: ReadonlySet<ProbedFeature>): Uint8Array {
  const known = sanitiseBtf(definedExterns(btf), new Set([...features, 'layout']));
  return encodeBtf(known, { layout: false });
}

/**
 * The types as they are first; where the kernel refuses them, it is asked what it
 * understands, and gets a copy without the rest.
 */
function loadBtf(calls: KernelCalls, btf: Btf): number | undefined {
  const original = copyNative(kernelForm(btf, allBtfFeatures));
  const result = tryLoad(calls, original);
  if (result >= 0) return result;
  if (result !== -ERRNO.EINVAL) throw loadError(calls, original, -result);
  if (!takesBtfAtAll(calls)) return undefined;
  const features = btfFeatures(calls);
  if (features.size === allBtfFeatures.size) throw loadError(calls, original, -result);
  const sanitised = copyNative(kernelForm(btf, features));
  const second = tryLoad(calls, sanitised);
  if (second >= 0) return second;
  throw loadError(calls, sanitised, -second);
}

function tryLoad(calls: KernelCalls, btf: NativeBytes, log?: NativeBytes): number {
  const attr = new Attr('BTF_LOAD').point('btf', btf).set('btf_size', btf.bytes.length);
  if (log !== undefined) {
    attr.point('btf_log_buf', log).set('btf_log_size', log.bytes.length).set('btf_log_level', 1);
  }
  return calls.bpf(attr);
}

/** The error of the first attempt, with the log of further ones. */
function loadError(calls: KernelCalls, btf: NativeBytes, number: number): BpfError {
  const { result, log } = retryWithLog((buffer) => tryLoad(calls, btf, buffer));
  if (result >= 0) calls.close(result);
  const cause = likelyCause('BTF_LOAD', number);
  return new BpfError({ code: 'btf-load', errno: errnoName(number), number, cause, log });
}
