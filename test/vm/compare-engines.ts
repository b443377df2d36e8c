// Runs one program on several backends and says how the outcomes differ.
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import type { Backend, BackendMap } from '../../src/backend/backend.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { BpfError } from '../../src/errors.ts';
import type { ProgramImage } from '../../src/object/image.ts';
import { bufferSize, programMaps } from './random-programs.ts';

/** One backend with the maps of {@link programMaps}. */
export class Runner {
  readonly name: string;
  readonly #make: () => Backend;
  #backend: Backend;
  #maps: readonly BackendMap[];

  constructor(name: string, make: () => Backend) {
    this.name = name;
    this.#make = make;
    this.#backend = make();
    this.#maps = makeMaps(this.#backend);
  }

  /** What a run leaves: result, packet and maps; or the code of the error. `undefined` where the program is not loaded. */
  outcome(image: ProgramImage, data: Uint8Array): string | undefined {
    try {
      this.#reset();
    } catch (error) {
      // The program before has written over the memory of a map.
      if (!(error instanceof BpfError)) throw error;
      this.close();
      this.#backend = this.#make();
      this.#maps = makeMaps(this.#backend);
    }
    let program: ReturnType<Backend['loadProgram']>;
    try {
      program = this.#backend.loadProgram(image, this.#maps);
    } catch (error) {
      if (error instanceof BpfError) return undefined;
      throw error;
    }
    try {
      const result = program.testRun({ data });
      const packet = result.data === undefined ? '' : toHex(result.data);
      return [result.returnValue, packet, ...this.#maps.map(contents)].join('\n');
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      const { detail } = error;
      if (detail.code !== 'vm-trap') return error.code;
      // Engines notice an exhausted budget at different places.
      if (detail.reason === 'budget') return 'budget';
      const { calls, reason, access } = detail;
      const where = calls.map((call) => `${call.function} ${call.insn}`).join(', ');
      return [reason, where, access?.address, access?.size, ...this.#maps.map(contents)].join('\n');
    } finally {
      program.close();
    }
  }

  close(): void {
    for (const map of this.#maps) map.close();
    this.#backend.close();
  }

  #reset(): void {
    const [buffer, ...others] = this.#maps;
    buffer?.update(new Uint8Array(4), new Uint8Array(bufferSize));
    for (const map of others) {
      for (const key of keysOf(map)) {
        if (isArray(map)) map.update(key, new Uint8Array(map.userValueSize));
        else map.delete(key);
      }
      if (!isArray(map) && map.nextKey(undefined) !== undefined) throw damaged(map);
    }
  }
}

function makeMaps(backend: Backend): readonly BackendMap[] {
  return programMaps.map((spec) => backend.createMap(spec, { btf: undefined, inner: undefined }));
}

function isArray(map: BackendMap): boolean {
  return map.type === BPF_MAP_TYPE.ARRAY || map.type === BPF_MAP_TYPE.PERCPU_ARRAY;
}

/** A map whose keys a program has written over: the key after one that is not found is the first. */
function damaged(map: BackendMap): BpfError {
  const operation = 'walk over the keys';
  return new BpfError({ code: 'errno', errno: 'EUCLEAN', number: 117, operation, map: map.name });
}

function keysOf(map: BackendMap): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    if (keys.length === map.maxEntries) throw damaged(map);
    keys.push(key);
  }
  return keys;
}

/** Contents of a map, the first CPU's where each has its own. */
function contents(map: BackendMap): string {
  try {
    return entriesOf(map);
  } catch (error) {
    if (error instanceof BpfError) return error.code;
    throw error;
  }
}

function entriesOf(map: BackendMap): string {
  const entries = keysOf(map).map((key) => {
    const value = map.lookup(key);
    return `${toHex(key)}=${value === undefined ? '' : toHex(value.subarray(0, map.valueSize))}`;
  });
  return entries.sort().join(' ');
}

/** How two outcomes differ, the lines that do. */
export function difference(a: string, b: string): string {
  const [left, right] = [a.split('\n'), b.split('\n')];
  const lines = left.flatMap((line, i) => (line === right[i] ? [] : [`${line} | ${right[i]}`]));
  return lines.join('\n');
}
