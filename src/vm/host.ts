import type { BackendHost, HostFeature, ModuleTypes } from '../backend/backend.ts';

/** What the simulated kernel says about itself; see `VmOptions`. */
export interface VmHostOptions {
  /** Release of the simulated kernel, such as `6.12.3`; 6.18.0 by default. */
  readonly kernelVersion?: string | undefined;
  /** Its configuration, as lines `CONFIG_X=y`; none by default. */
  readonly kconfig?: string | undefined;
  /** Addresses of its symbols; none by default. */
  readonly symbols?: ReadonlyMap<string, bigint> | undefined;
  /** Types of its modules, on those of the VM itself; none by default. */
  readonly modules?: readonly ModuleTypes[] | undefined;
  /** What it cannot do, as an older kernel. */
  readonly lacks?: readonly HostFeature[] | undefined;
}

/** The host of a VM: what it was told, and nothing of the machine that it runs on. */
export class VmHost implements BackendHost {
  readonly #options: VmHostOptions;
  readonly #version: number;

  constructor(options: VmHostOptions = {}) {
    this.#options = options;
    this.#version = versionNumber(options.kernelVersion ?? '6.18.0');
  }

  kernelVersion(): number {
    return this.#version;
  }

  kconfig(): string | undefined {
    return this.#options.kconfig;
  }

  symbols(names: ReadonlySet<string>): ReadonlyMap<string, readonly bigint[]> {
    const found = new Map<string, readonly bigint[]>();
    for (const name of names) {
      const address = this.#options.symbols?.get(name);
      if (address !== undefined) found.set(name, [address]);
    }
    return found;
  }

  modules(): readonly ModuleTypes[] {
    return this.#options.modules ?? [];
  }

  has(feature: HostFeature): boolean {
    return this.#options.lacks?.includes(feature) !== true;
  }
}

/** `KERNEL_VERSION(major, minor, patch)`. */
function versionNumber(release: string): number {
  const parts = /^(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])/.exec(release);
  if (parts === null) throw new RangeError(`a kernel version is like 6.12.3, not ${release}`);
  const [, major = 0, minor = 0, patch = 0] = parts.map(Number);
  return ((major & 0xffff) << 16) | (Math.min(minor, 255) << 8) | Math.min(patch, 255);
}
