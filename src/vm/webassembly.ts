/**
 * The part of the WebAssembly JavaScript API that the VM uses, declared here because the
 * compiler's library has it only together with all of the DOM.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** A compiled module. */
export type WasmModule = object;

/** What a module imports from `env`. */
export type WasmImports = Readonly<
  Record<string, WasmMemory | number | ((row: number) => unknown)>
>;

/** Exported functions by name. */
export type WasmExports = Readonly<Record<string, () => void>>;

interface WasmApi {
  readonly Memory: new (descriptor: { readonly initial: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (
    module: WasmModule,
    imports: { readonly env: WasmImports },
  ) => { readonly exports: WasmExports };
  compile(bytes: Uint8Array): Promise<WasmModule>;
}

const api = (): WasmApi => (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

/** Bytes in a WebAssembly page. */
export const wasmPageSize = 65_536;

/** Reserves a memory of exactly `pages` pages, or undefined where the host refuses that many. */
export function reserveWasmMemory(pages: number): WasmMemory | undefined {
  try {
    return new (api().Memory)({ initial: pages });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Compiles a module now. */
export function compileModule(bytes: Uint8Array): WasmModule {
  return new (api().Module)(bytes);
}

/** Compiles a module in the background. */
export function compileModuleLater(bytes: Uint8Array): Promise<WasmModule> {
  return api().compile(bytes);
}

/** Puts a module together with what it imports. */
export function instantiate(module: WasmModule, env: WasmImports): WasmExports {
  return new (api().Instance)(module, { env }).exports;
}
