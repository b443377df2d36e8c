import { BPF_MAP_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import type { Backend, BackendMap, CreateMapOptions, MapDefinition } from '../backend/backend.ts';
import { requireMap } from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import { BpfError } from '../errors.ts';
import { type AttachBtf, findAttachTarget, needsAttachTarget } from '../object/attach-btf.ts';
import type { ProgramImage } from '../object/image.ts';
import type { MapSpec } from '../object/spec.ts';
import { ArenaMemory } from './arena.ts';
import { BtfPool } from './btf-load.ts';
import { possibleCpuCount } from './cpus.ts';
import { check } from './errno.ts';
import { KernelHost } from './host.ts';
import { kernelBtf } from './kernel-btf.ts';
import { KernelMap } from './map.ts';
import { createMap } from './map-create.ts';
import { ModuleBtfs } from './module-btf.ts';
import { KernelPins } from './pins.ts';
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
  readonly host: KernelHost;
  readonly pins: KernelPins;
  readonly #modules: ModuleBtfs;
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
    this.#modules = new ModuleBtfs(this.#calls, () => this.targetBtf());
    this.host = new KernelHost(this.#calls, this.#modules);
    this.pins = new KernelPins({
      calls: this.#calls,
      kernelMap: (map) => this.#kernelMap(map),
      adopt: (fd, name, definition) => this.#adopt(fd, name, definition),
    });
  }

  targetBtf(): Btf {
    return kernelBtf();
  }

  createMap(spec: MapSpec, options: CreateMapOptions): KernelMap {
    this.#requireOpen();
    const inner = options.inner === undefined ? undefined : this.#kernelMap(options.inner);
    // The kernel wants an object's types along with a struct of callbacks, though it looks at its own.
    const typed = spec.valueType !== undefined || options.structOps !== undefined;
    using modules = new OpenModules(this.#calls, this.#modules);
    const structOps = options.structOps && {
      valueType: options.structOps.valueType,
      moduleFd: modules.optional(options.structOps.module),
    };
    return this.#withBtf(typed ? options.btf : undefined, (btfFd, release) => {
      const created = createMap(this.#calls, { spec, btfFd, innerFd: inner?.fd, structOps });
      const { fd, flags } = created;
      return this.#wrap(fd, spec.name, { ...spec, flags }, release);
    });
  }

  loadProgram(image: ProgramImage, maps: readonly (BackendMap | undefined)[]): KernelProgram {
    this.#requireOpen();
    const target = this.#attachTarget(image);
    const { btf } = image;
    using modules = new OpenModules(this.#calls, this.#modules);
    return this.#withBtf(btf, (btfFd, release) => {
      const { fd, log } = loadProgram(this.#calls, {
        image,
        mapFd: (index) => this.#mapOf(maps, index).fd,
        btfFd,
        attachBtfId: target?.id ?? 0,
        attachModule: target?.module,
        moduleFd: (module) => modules.fd(module),
        kernelVersion: this.host.kernelVersion(),
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

  #attachTarget(image: ProgramImage): AttachBtf | undefined {
    if (image.type === BPF_PROG_TYPE.EXT) {
      const reason = 'it replaces a function of another program, which must be named to load it';
      const { name } = image;
      throw new BpfError({ code: 'kernel-unsupported', what: 'program', name, reason });
    }
    if (image.structOps !== undefined) {
      const { type: id, module } = image.structOps;
      return { id, module };
    }
    if (!needsAttachTarget(image.type, image.attachType)) return undefined;
    const modules = () => this.#modules.all();
    return findAttachTarget(image, { kernel: this.targetBtf(), modules });
  }

  /** A map around a descriptor, which is closed where that fails. */
  #wrap(fd: number, name: string, definition: MapDefinition, release: () => void): KernelMap {
    const { type, keySize, valueSize, maxEntries, flags } = definition;
    try {
      return this.#own(
        new KernelMap({
          ...{ calls: this.#calls, fd, name, type, keySize, valueSize, maxEntries, flags },
          cpuCount: this.cpuCount,
          arena: this.#mapArena(fd, name, definition),
          onClose: this.#disown(release),
        }),
      );
    } catch (error) {
      this.#calls.close(fd);
      throw error;
    }
  }

  /** The kernel wants an arena's address before it takes programs that use it. */
  #mapArena(fd: number, map: string, definition: MapDefinition): ArenaMemory | undefined {
    if (definition.type !== BPF_MAP_TYPE.ARENA) return undefined;
    const length = definition.maxEntries * this.pageSize;
    const memory = ArenaMemory.open(this.#calls, fd, { length, address: Number(definition.extra) });
    if (typeof memory !== 'number') return memory;
    check(memory, { operation: `map ${length} bytes of memory`, call: 'mmap', map });
    return undefined;
  }

  /** A descriptor that was opened by its path. */
  #adopt(fd: number, name: string, definition: MapDefinition): KernelMap {
    this.#requireOpen();
    return this.#wrap(fd, name, definition, () => {});
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

/** Descriptors of modules' types, open for the time of one call. */
class OpenModules implements Disposable {
  readonly #calls: KernelCalls;
  readonly #modules: ModuleBtfs;
  readonly #open = new Map<string, number>();

  constructor(calls: KernelCalls, modules: ModuleBtfs) {
    this.#calls = calls;
    this.#modules = modules;
  }

  fd(module: string): number {
    let fd = this.#open.get(module);
    if (fd === undefined) {
      fd = this.#modules.open(module);
      this.#open.set(module, fd);
    }
    return fd;
  }

  optional(module: string | undefined): number | undefined {
    return module === undefined ? undefined : this.fd(module);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) this.#calls.close(fd);
    this.#open.clear();
  }
}
