/**
 * The part of the WebAssembly JavaScript API that the VM uses, declared here because the
 * compiler's library has it only together with all of the DOM.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

interface WasmApi {
  readonly Memory: new (descriptor: { readonly initial: number }) => WasmMemory;
}

/** Bytes in a WebAssembly page. */
export const wasmPageSize = 65_536;

/** Reserves a memory of exactly `pages` pages, or undefined where the host refuses that many. */
export function reserveWasmMemory(pages: number): WasmMemory | undefined {
  const api = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;
  try {
    return new api.Memory({ initial: pages });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
