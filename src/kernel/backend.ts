import { release } from 'node:os';
import { BPF_F_NUMA_NODE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import type { Backend, BackendMap, CreateMapOptions } from '../backend/backend.ts';
import { requireMap } from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import { BpfError } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';
import type { MapSpec } from '../object/spec.ts';
import { attachTargetId, needsAttachTarget } from './attach-target.ts';
import { BtfPool } from './btf-load.ts';
import { possibleCpuCount } from './cpus.ts';
import { kernelBtf } from './kernel-btf.ts';
import { KernelMap } from './map.ts';
import { createMap } from './map-create.ts';
import { KernelProgram } from './program.ts';
import { loadProgram } from './program-load.ts';
import { type KernelCalls, systemCalls } from './sys.ts';

export interface KernelBackendOptions {
  /**
   * The verifier's log is kept in `KernelProgram.log` even when the program loads: 1 for the
   * log, 2 for a very long one, 4 for statistics only. Without it there is a log only in
   * errors.
   */
  readonly logLevel?: 0 | 1 | 2 | 4 | undefined;
  /** System calls to use instead of the machine's; for tests. */
  readonly calls?: KernelCalls | undefined;
}

/**
 * The running kernel as a backend. It owns every map and program that it made: closing it
 * closes them.
 *
 * @example
 * ```ts
 * using kernel = createKernelBackend();
 * const map = kernel.createMap(spec.maps[0], { btf: spec.btf });
 * ```
 */
export class KernelBackend implements Backend {
  readonly name = 'kernel';
  readonly pageSize: number;
  readonly cpuCount: number;
  readonly #calls: KernelCalls;
  readonly #logLevel: number;
  readonly #btfs: BtfPool;
  readonly #owned = new Set<KernelMap | KernelProgram>();
  #open = true;

  constructor(options: KernelBackendOptions = {}) {
    this.#calls = options.calls ?? systemCalls();
    this.#logLevel = options.logLevel ?? 0;
    this.#btfs = new BtfPool(this.#calls);
    this.pageSize = this.#calls.pageSize;
    this.cpuCount = possibleCpuCount();
  }

  targetBtf(): Btf {
    return kernelBtf();
  }

  createMap(spec: MapSpec, options: CreateMapOptions): KernelMap {
    this.#requireOpen();
    const inner = options.inner === undefined ? undefined : this.#kernelMap(options.inner);
    const typed = spec.valueType !== undefined;
    return this.#withBtf(typed ? options.btf : undefined, (btfFd, release) => {
      const fd = createMap(this.#calls, { spec, btfFd, innerFd: inner?.fd });
      const { name, type, keySize, valueSize, maxEntries, flags, numaNode } = spec;
      return this.#own(
        new KernelMap({
          ...{ calls: this.#calls, fd, name, type, keySize, valueSize, maxEntries },
          flags: numaNode === 0 ? flags : flags | BPF_F_NUMA_NODE,
          cpuCount: this.cpuCount,
          onClose: this.#disown(release),
        }),
      );
    });
  }

  loadProgram(image: ProgramImage, maps: readonly (BackendMap | undefined)[]): KernelProgram {
    this.#requireOpen();
    const attachBtfId = this.#attachBtfId(image);
    const { btf } = image;
    return this.#withBtf(btf, (btfFd, release) => {
      const { fd, log } = loadProgram(this.#calls, {
        image,
        mapFd: (index) => this.#mapOf(maps, index).fd,
        btfFd,
        attachBtfId,
        kernelVersion: runningVersion(),
        logLevel: this.#logLevel,
      });
      const parts = { calls: this.#calls, fd, name: image.name, type: image.type, log };
      return this.#own(new KernelProgram({ ...parts, onClose: this.#disown(release) }));
    });
  }

  close(): void {
    this.#open = false;
    for (const owned of [...this.#owned]) owned.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs `work` with the object's types loaded; they are given back if it throws, else by `release`. */
  #withBtf<T>(btf: Btf | undefined, work: (fd: number | undefined, release: () => void) => T): T {
    const fd = btf === undefined ? undefined : this.#btfs.acquire(btf);
    const release = (): void => {
      if (btf !== undefined && fd !== undefined) this.#btfs.release(btf);
    };
    try {
      return work(fd, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  #attachBtfId(image: ProgramImage): number {
    if (image.type === BPF_PROG_TYPE.EXT) {
      const reason = 'it replaces a function of another program, which must be named to load it';
      const { name } = image;
      throw new BpfError({ code: 'kernel-unsupported', what: 'program', name, reason });
    }
    return needsAttachTarget(image.type) ? attachTargetId(image, this.targetBtf()) : 0;
  }

  #mapOf(maps: readonly (BackendMap | undefined)[], index: number): KernelMap {
    return this.#kernelMap(requireMap(maps, index));
  }

  #kernelMap(map: BackendMap): KernelMap {
    if (map instanceof KernelMap) return map;
    const reason = 'it belongs to another backend';
    throw new BpfError({ code: 'kernel-unsupported', what: 'map', name: map.name, reason });
  }

  #own<T extends KernelMap | KernelProgram>(owned: T): T {
    this.#owned.add(owned);
    return owned;
  }

  #disown(release: () => void): (owned: KernelMap | KernelProgram) => void {
    return (owned) => {
      this.#owned.delete(owned);
      release();
    };
  }

  #requireOpen(): void {
    if (!this.#open) throw new BpfError({ code: 'closed', what: 'backend', name: this.name });
  }
}

/** Opens the running kernel as a backend; {@link BpfError} `kernel-unavailable` where there is none. */
export function createKernelBackend(options: KernelBackendOptions = {}): KernelBackend {
  return new KernelBackend(options);
}

/** `KERNEL_VERSION(major, minor, patch)` of the running kernel; the patch level is cut at 255. */
function runningVersion(): number {
  const [, major = 0, minor = 0, patch = 0] = (
    /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release()) ?? []
  ).map(Number);
  return (major << 16) | (minor << 8) | Math.min(patch, 255);
}
