import { compileModule, compileModuleLater, type WasmModule } from '../webassembly.ts';

/** Modules kept at one time, the oldest given up first. */
const mostModules = 256;

interface Entry {
  readonly bytes: Uint8Array;
  readonly module: WasmModule;
}

/**
 * Compiled modules by a hash of their bytes. The bytes hold the addresses of a program's maps;
 * a VM gives the same addresses in the same order, so that a test which makes a new VM for each
 * case compiles each program once.
 */
const cache = new Map<string, Entry>();

/** The module for some bytes, compiled now unless it is in the cache. */
export function moduleFor(bytes: Uint8Array): WasmModule {
  const key = hashBytes(bytes);
  return known(key, bytes) ?? keep(key, bytes, compileModule(bytes));
}

/** The module for some bytes, compiled in the background unless it is in the cache. */
export async function moduleLater(bytes: Uint8Array): Promise<WasmModule> {
  const key = hashBytes(bytes);
  return known(key, bytes) ?? keep(key, bytes, await compileModuleLater(bytes));
}

function known(key: string, bytes: Uint8Array): WasmModule | undefined {
  const entry = cache.get(key);
  return entry !== undefined && sameBytes(entry.bytes, bytes) ? entry.module : undefined;
}

function keep(key: string, bytes: Uint8Array, module: WasmModule): WasmModule {
  cache.delete(key);
  cache.set(key, { bytes, module });
  if (cache.size > mostModules) {
    for (const oldest of cache.keys()) {
      cache.delete(oldest);
      break;
    }
  }
  return module;
}

/** FNV-1a of the bytes as 32-bit words, and their number. */
function hashBytes(bytes: Uint8Array): string {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < bytes.length; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  }
  return `${hash >>> 0}:${bytes.length}`;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
