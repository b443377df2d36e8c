// A backend that does nothing but remember what it was asked, for the tests of the loader.
import type {
  Backend,
  BackendMap,
  BackendPins,
  BackendProgram,
  CreateMapOptions,
  MapBatch,
  MapDefinition,
  PinnedMap,
  StructOpsMember,
} from '../../src/backend/backend.ts';
import type { Btf } from '../../src/btf/btf.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { BpfError } from '../../src/errors.ts';
import type { ProgramImage } from '../../src/object/image.ts';
import type { MapSpec } from '../../src/object/spec.ts';
import { VmHost, type VmHostOptions } from '../../src/vm/host.ts';

/** What the backend refuses, to see what happens then. */
export type Refusal = (call: string) => boolean;

export class RecordingBackend implements Backend {
  readonly name = 'vm';
  readonly pageSize = 4096;
  readonly cpuCount = 3;
  readonly calls: string[] = [];
  /** Names of maps and programs that are open. */
  readonly open = new Set<string>();
  readonly maps: MapSpec[] = [];
  readonly host: VmHost;
  readonly pins: RecordingPins;
  readonly #refuses: Refusal;
  readonly #btf: Btf | undefined;

  constructor(
    refuses: Refusal = () => false,
    options: { readonly host?: VmHostOptions; readonly btf?: Btf } = {},
  ) {
    this.#refuses = refuses;
    this.host = new VmHost(options.host);
    this.#btf = options.btf;
    this.pins = new RecordingPins(this);
  }

  targetBtf(): Btf {
    if (this.#btf !== undefined) return this.#btf;
    this.record('target btf');
    throw new Error('no test needs types');
  }

  createMap(spec: MapSpec, options: CreateMapOptions): BackendMap {
    const inner = options.inner === undefined ? '' : ` of ${options.inner.name}`;
    this.record(`create ${spec.name}${inner}`);
    this.maps.push(spec);
    this.open.add(spec.name);
    return new RecordingMap(this, spec);
  }

  loadProgram(image: ProgramImage): BackendProgram {
    this.record(`load ${image.name}`);
    this.open.add(image.name);
    return new RecordingProgram(this, image);
  }

  record(call: string): void {
    this.calls.push(call);
    if (!this.#refuses(call)) return;
    throw new BpfError({ code: 'errno', errno: 'EPERM', number: 1, operation: call });
  }

  close(): void {
    this.record('close backend');
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Paths of maps, which only remember what they are. */
export class RecordingPins implements BackendPins {
  readonly paths = new Map<string, MapDefinition>();
  readonly #backend: RecordingBackend;

  constructor(backend: RecordingBackend) {
    this.#backend = backend;
  }

  open(path: string, name: string): PinnedMap | undefined {
    const definition = this.paths.get(path);
    if (definition === undefined) return undefined;
    this.#backend.record(`open ${path}`);
    this.#backend.open.add(name);
    return { map: new RecordingMap(this.#backend, { ...definition, name }), definition };
  }

  pin(path: string, map: BackendMap): void {
    this.#backend.record(`pin ${path}`);
    this.paths.set(path, { ...map, extra: 0n });
  }

  unpin(path: string): void {
    this.#backend.record(`unpin ${path}`);
    this.paths.delete(path);
  }
}

class RecordingMap implements BackendMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly userValueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly #backend: RecordingBackend;
  readonly #memory: Uint8Array;

  constructor(backend: RecordingBackend, spec: MapDefinition & { readonly name: string }) {
    this.#backend = backend;
    this.name = spec.name;
    this.type = spec.type;
    this.keySize = spec.keySize;
    this.valueSize = spec.valueSize;
    this.userValueSize = spec.valueSize;
    this.maxEntries = spec.maxEntries;
    this.flags = spec.flags;
    this.#memory = new Uint8Array(spec.valueSize);
  }

  lookup(): Uint8Array {
    return this.#memory.slice();
  }

  update(key: Uint8Array, value: Uint8Array): void {
    this.#backend.record(`update ${this.name} ${toHex(key)} ${toHex(value)}`);
    this.#memory.set(value);
  }

  delete(): boolean {
    return false;
  }

  lookupAndDelete(): undefined {
    return undefined;
  }

  contains(): boolean {
    return false;
  }

  lookupBatch(): MapBatch {
    return { count: 0, keys: new Uint8Array(0), values: new Uint8Array(0), next: undefined };
  }

  lookupAndDeleteBatch(): MapBatch {
    return this.lookupBatch();
  }

  updateBatch(): number {
    return 0;
  }

  deleteBatch(): number {
    return 0;
  }

  nextKey(): undefined {
    return undefined;
  }

  setMap(key: Uint8Array, inner: BackendMap): void {
    this.#backend.record(`set ${this.name} ${toHex(key)} ${inner.name}`);
  }

  setProgram(key: Uint8Array, program: BackendProgram): void {
    this.#backend.record(`set ${this.name} ${toHex(key)} ${program.name}`);
  }

  setStructOps(value: Uint8Array, members: readonly StructOpsMember[]): void {
    const programs = members.map(({ offset, program }) => `${offset}:${program.name}`);
    this.#backend.record(`set ${this.name} ${toHex(value)} ${programs.join(' ')}`);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#backend.record(`write ${this.name} ${offset} ${toHex(bytes)}`);
  }

  freeze(): void {
    this.#backend.record(`freeze ${this.name}`);
  }

  view(): Uint8Array {
    return this.#memory;
  }

  consume(): number {
    return 0;
  }

  close(): void {
    this.#backend.open.delete(this.name);
    this.#backend.record(`close ${this.name}`);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class RecordingProgram implements BackendProgram {
  readonly name: string;
  readonly type: number;
  readonly #backend: RecordingBackend;

  constructor(backend: RecordingBackend, image: ProgramImage) {
    this.#backend = backend;
    this.name = image.name;
    this.type = image.type;
  }

  testRun(): never {
    throw new Error('this backend runs nothing');
  }

  close(): void {
    this.#backend.open.delete(this.name);
    this.#backend.record(`close ${this.name}`);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
