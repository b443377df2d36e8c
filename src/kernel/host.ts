import { readFileSync } from 'node:fs';
import { release, version } from 'node:os';
import { gunzipSync } from 'node:zlib';
import type { BackendHost, HostFeature, ModuleTypes } from '../backend/backend.ts';
import { readIfThere } from './errno.ts';
import { hasFeature } from './host-features.ts';
import { addressesOf } from './kallsyms.ts';
import type { ModuleBtfs } from './module-btf.ts';
import type { KernelCalls } from './sys.ts';

/** What the running kernel says about itself. */
export class KernelHost implements BackendHost {
  readonly #calls: KernelCalls;
  readonly #modules: ModuleBtfs;

  constructor(calls: KernelCalls, modules: ModuleBtfs) {
    this.#calls = calls;
    this.#modules = modules;
  }

  kernelVersion(): number {
    return runningVersion();
  }

  kconfig(): string | undefined {
    return runningKconfig();
  }

  symbols(names: ReadonlySet<string>): ReadonlyMap<string, readonly bigint[]> {
    return addressesOf(readIfThere('/proc/kallsyms'), names);
  }

  modules(): readonly ModuleTypes[] {
    return this.#modules.all();
  }

  has(feature: HostFeature): boolean {
    return hasFeature(this.#calls, feature);
  }
}

/**
 * `KERNEL_VERSION(major, minor, patch)` of the running kernel; the patch level is cut at 255.
 * Ubuntu and Debian name the release that theirs is made from in other places than
 * `uname -r` (libbpf's `get_kernel_version`).
 */
export function runningVersion(): number {
  const ubuntu = readIfThere('/proc/version_signature').trim().split(/\s+/)[2];
  const debian = /Debian (\d+\.\d+\.\d+)/.exec(version())?.[1];
  return versionNumber(ubuntu ?? debian ?? release());
}

/** `6.18.3-rc1` as a number; 0 for what is no version. */
export function versionNumber(text: string): number {
  const parts = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  const [, major = 0, minor = 0, patch = 0] = parts.map(Number);
  return (major << 16) | (minor << 8) | Math.min(patch, 255);
}

/** The configuration of the running kernel, from where libbpf looks for it, in its order. */
export function runningKconfig(): string | undefined {
  for (const path of [`/boot/config-${release()}`, '/proc/config.gz']) {
    try {
      return textOf(readFileSync(path));
    } catch {
      // Not there, not readable, or damaged: the next one is as good.
    }
  }
  return undefined;
}

/** Either file may be compressed. */
function textOf(file: Uint8Array): string {
  const zipped = file[0] === 0x1f && file[1] === 0x8b;
  return new TextDecoder().decode(zipped ? gunzipSync(file) : file);
}
