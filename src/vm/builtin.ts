import { type Btf, parseBtf } from '../btf/btf.ts';
import { builtinBtfBase64 } from './builtin-btf.ts';

let parsed: Btf | undefined;

/**
 * Types of the simulated kernel, from src/vm/builtin/kernel.h: what programs are relocated
 * against and kernel objects are laid out by, unless a VM is given others.
 */
export function builtinBtf(): Btf {
  parsed ??= parseBtf(decodeBase64(builtinBtfBase64), { name: 'built-in kernel types' });
  return parsed;
}

function decodeBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text.replaceAll('\n', '')), (char) => char.charCodeAt(0));
}
