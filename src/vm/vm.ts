import { BPF_FUNC, BPF_PROG_TYPE } from '../abi/bpf.ts';
import {
  type Backend,
  type BackendMap,
  type CreateMapOptions,
  requireMap,
} from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import { quoteName } from '../errors/quote.ts';
import { BpfError } from '../errors.ts';
import { isMapSlot, type MapSlot, type ProgramImage, type Slot } from '../object/image.ts';
import type { MapSpec } from '../object/spec.ts';
import { builtinBtf } from './builtin.ts';
import { type ClockOptions, VmClock } from './clock.ts';
import type { NetworkInterface } from './contexts/fields.ts';
import { createCpu } from './cpu.ts';
import { CodeSpace } from './engine/code-space.ts';
import { prepareProgram, releaseProgram } from './engine/engine.ts';
import { entryOf, entrySize, isJumpTable, type JumpTableSlot } from './engine/jump-tables.ts';
import type { LoweredProgram } from './engine/program.ts';
import { errnoError } from './errno.ts';
import type { HelperMachine } from './helpers/machine.ts';
import { createHelpers, helperName } from './helpers/table.ts';
import { VmHost, type VmHostOptions } from './host.ts';
import { defaultEngine } from './jit/default-engine.ts';
import { accelerate, type EngineChoice } from './jit/jit.ts';
import {
  type Cpu,
  type HelperFunction,
  type LoadedProgram,
  type ProgramEnvironment,
  windows,
} from './machine.ts';
import { type MapHeader, placeMapHeader } from './map-header.ts';
import { ArrayMap } from './maps/array.ts';
import { makeMap } from './maps/create.ts';
import { findSpecialFields } from './maps/fields.ts';
import { VmMap } from './maps/map.ts';
import { RingBufferMap } from './maps/ring-buffer.ts';
import { ProgArrayMap } from './maps/slots.ts';
import { engineArea, type MemoryStats, VmMemory } from './memory.ts';
import { KernelObjects } from './objects.ts';
import type { Observer } from './observe/observer.ts';
import { VmPins } from './pins.ts';
import { type ProgramHost, tailCallKind, VmProgram } from './program.ts';
import { VmRandom } from './random.ts';
import { CurrentTask, type TaskDescription } from './task.ts';
import { TraceLog } from './trace-log.ts';

/** Options of {@link createVm}. Whatever is left out is the same on every machine. */
export interface VmOptions {
  /** Types of the simulated kernel; the built-in ones by default. */
  readonly targetBtf?: Btf | undefined;
  /** CPUs that per-CPU values have copies for; 2 by default. */
  readonly cpuCount?: number | undefined;
  /** Bytes of VM memory that may be in use at one time; 1 GiB by default. */
  readonly memoryLimit?: number | undefined;
  /** Instructions that one run may take; 100 million by default. */
  readonly instructionBudget?: number | undefined;
  /**
   * What runs programs: `interpreter`; `jit`, which compiles each to WebAssembly before its
   * first run; or `auto`, the default, which compiles what has run for a while. Results are
   * the same.
   */
  readonly engine?: EngineChoice | undefined;
  /** Seed of random numbers and hash functions. */
  readonly seed?: number | undefined;
  readonly clock?: ClockOptions | undefined;
  /** The current task at the start. */
  readonly task?: TaskDescription | undefined;
  /** Network devices; the loopback device alone by default. */
  readonly interfaces?: readonly NetworkInterface[] | undefined;
  /** What the simulated kernel says about itself: version, configuration, symbols. */
  readonly host?: VmHostOptions | undefined;
}

const loopback: NetworkInterface = { index: 1, name: 'lo', queues: 1 };

/** Most CPUs of a VM. */
const maxCpus = 64;

/**
 * A simulated kernel in this process: maps, programs and kernel objects in one WebAssembly
 * memory. Needs no privileges and no Linux, and gives the same results everywhere.
 */
export class Vm implements Backend, HelperMachine, ProgramHost {
  readonly name = 'vm';
  readonly pageSize = 4096;
  readonly cpuCount: number;
  readonly host: VmHost;
  readonly pins = new VmPins(this);
  readonly memory: VmMemory;
  readonly clock: VmClock;
  readonly random: VmRandom;
  readonly log = new TraceLog();
  readonly cpus: readonly Cpu[];
  readonly interfaces: readonly NetworkInterface[];
  readonly instructionBudget: number | undefined;
  readonly engine: EngineChoice;
  readonly hashSeed: number;
  /** Places kernel objects and reads them back. */
  readonly kernel: KernelObjects;
  readonly #code = new CodeSpace();
  readonly #helpers: ReadonlyMap<number, HelperFunction>;
  readonly #maps = new Map<number, { readonly map: VmMap; readonly header: MapHeader }>();
  readonly #rings = new Map<number, RingBufferMap>();
  readonly #programs = new Map<number, VmProgram>();
  readonly #givenBtf: Btf | undefined;
  #task: CurrentTask;
  #nextMapId = 1;
  #nextProgramId = 1;
  #closed = false;
  #observers: readonly Observer[] = [];

  /** Use {@link createVm}. */
  constructor(options: VmOptions = {}) {
    this.cpuCount = checkCpus(options.cpuCount ?? 2);
    this.host = new VmHost(options.host);
    this.memory = new VmMemory({ limit: options.memoryLimit });
    this.#givenBtf = options.targetBtf;
    const { buffer } = this.memory.bytes;
    this.clock = new VmClock(options.clock, new BigUint64Array(buffer, engineArea.clocks, 4));
    this.random = new VmRandom(options.seed ?? 1, new Uint32Array(buffer, engineArea.random, 4));
    this.hashSeed = this.random.next();
    this.interfaces = options.interfaces ?? [loopback];
    this.instructionBudget = options.instructionBudget;
    this.engine = options.engine ?? defaultEngine.choice;
    this.kernel = new KernelObjects(this.memory, () => this.targetBtf());
    this.cpus = Array.from({ length: this.cpuCount }, (_, id) => createCpu(this.memory, id));
    this.#task = new CurrentTask(this.kernel, options.task ?? { pid: 1 });
    this.#helpers = createHelpers(this);
  }

  /** The same as {@link kernel}. */
  get objects(): KernelObjects {
    return this.kernel;
  }

  targetBtf(): Btf {
    return this.#givenBtf ?? builtinBtf();
  }

  /** The current task. */
  get task(): CurrentTask {
    return this.#task;
  }

  /** Makes another task the current one. */
  setTask(description: TaskDescription): void {
    const old = this.#task;
    this.#task = new CurrentTask(this.kernel, description);
    old.free();
  }

  /** What programs printed with `bpf_printk`, one text for each call. */
  get trace(): readonly string[] {
    return this.log.entries.map((entry) => entry.text);
  }

  /**
   * Lets an observer see every run from now on, until what is given back is disposed of.
   * Observed programs run in the interpreter.
   */
  observe(observer: Observer): Disposable {
    this.#observers = [...this.#observers, observer];
    return {
      [Symbol.dispose]: () => {
        this.#observers = this.#observers.filter((each) => each !== observer);
      },
    };
  }

  /** Those that see the next run. */
  get observers(): readonly Observer[] {
    return this.#observers;
  }

  /** Memory in use. */
  stats(): MemoryStats {
    return this.memory.stats();
  }

  createMap(spec: MapSpec, options: CreateMapOptions): VmMap {
    this.#checkOpen();
    const { inner } = options;
    if (inner !== undefined && !(inner instanceof VmMap)) {
      throw errnoError('EBADF', 'create map', {
        map: spec.name,
        reason: 'the template is not one of this VM',
      });
    }
    const special = findSpecialFields(options.btf, spec.valueType);
    const littleEndian = options.btf?.littleEndian ?? true;
    return makeMap({ host: this, id: this.#nextMapId++, spec, special, inner, littleEndian });
  }

  loadProgram(image: ProgramImage, maps: readonly (BackendMap | undefined)[]): VmProgram {
    this.#checkOpen();
    checkSlots(image);
    const used = usedMaps(this, image, maps);
    const tables = this.#placeTables(image);
    const environment = this.#environment(maps, tables);
    let lowered: LoweredProgram | undefined;
    try {
      lowered = prepareProgram(image, environment, { probeLoads: holdsBtfPointers(image) });
      claimProgArrays(image, used);
    } catch (error) {
      if (lowered !== undefined) releaseProgram(lowered);
      for (const table of tables.values()) this.memory.free(table);
      throw error;
    }
    for (const map of used) map.acquire();
    accelerate(lowered, this.engine, (header) => this.mapAt(header));
    const id = this.#nextProgramId++;
    const memory = [...tables.values()];
    const program = new VmProgram(this, { id, image, lowered, maps: used, memory });
    this.#programs.set(program.id, program);
    return program;
  }

  /** Closes all programs and maps. The VM cannot be used any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const program of [...this.#programs.values()]) program.close();
    this.pins.close();
    for (const { map } of [...this.#maps.values()]) map.closeAll();
    this.#task.free();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // What maps, programs and helpers ask for.

  placeHeader(map: VmMap): number {
    const header = placeMapHeader(this.kernel, map);
    this.#maps.set(header.offset, { map, header });
    if (map instanceof RingBufferMap) this.#rings.set(map.base, map);
    return header.offset;
  }

  dropMap(map: VmMap): void {
    this.#maps.get(map.header)?.header.free();
    this.#maps.delete(map.header);
    if (map instanceof RingBufferMap) this.#rings.delete(map.base);
  }

  mapAt(header: number): VmMap | undefined {
    return this.#maps.get(header)?.map;
  }

  ringAt(base: number): RingBufferMap | undefined {
    return this.#rings.get(base);
  }

  loadedProgram(id: number): LoadedProgram | undefined {
    return this.#programs.get(id)?.lowered;
  }

  dropProgram(program: VmProgram): void {
    this.#programs.delete(program.id);
  }

  /** Puts the jump tables of a program into memory, by the slots that they go to. */
  #placeTables(image: ProgramImage): Map<number, number> {
    const placed = new Map<number, number>();
    for (const slot of image.slots) {
      if (!isJumpTable(slot)) continue;
      const size = Math.max(entrySize, slot.targets.length * entrySize);
      const at = this.memory.allocate(size, { label: 'jump table', readOnly: true });
      slot.targets.forEach((target, i) => {
        const entry = BigInt(entryOf(target));
        this.memory.view.setBigUint64(at + i * entrySize, entry, image.littleEndian);
      });
      placed.set(slot.insn, at);
    }
    return placed;
  }

  #environment(
    maps: readonly (BackendMap | undefined)[],
    tables: ReadonlyMap<number, number>,
  ): ProgramEnvironment {
    return {
      memory: this.memory,
      code: this.#code,
      helper: (number) => this.#helpers.get(number),
      helperName,
      slotAddress: (slot) => {
        const table = isJumpTable(slot) ? tables.get(slot.insn) : undefined;
        const low = isJumpTable(slot) ? (table ?? 0) + slot.offset : slotOffset(this, slot, maps);
        return { low, high: windows.main };
      },
    };
  }

  #checkOpen(): void {
    if (this.#closed) throw new BpfError({ code: 'closed', what: 'backend', name: this.name });
  }
}

/**
 * Starts a VM.
 *
 * @example
 * ```ts
 * using vm = createVm({ task: { pid: 42, comm: 'worker' } });
 * using object = loadObject(openObject(bytes), { backend: vm });
 * ```
 */
export function createVm(options: VmOptions = {}): Vm {
  return new Vm(options);
}

function checkCpus(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= maxCpus) return count;
  throw new RangeError(`a VM has 1 to ${maxCpus} CPUs, not ${count}`);
}

/** The map that a slot names. */
function slotMap(vm: Vm, slot: MapSlot, maps: readonly (BackendMap | undefined)[]): VmMap {
  const map = requireMap(maps, slot.map);
  if (map instanceof VmMap && map.isOf(vm)) return map;
  throw errnoError('EBADF', 'load program', { map: map.name, reason: 'it is not of this VM' });
}

function usedMaps(vm: Vm, image: ProgramImage, maps: readonly (BackendMap | undefined)[]): VmMap[] {
  const used = new Set(image.slots.filter(isMapSlot).map((slot) => slotMap(vm, slot, maps)));
  for (const map of used) map.requireOpen();
  return [...used];
}

/** The program's kind becomes, or must be, that of the prog arrays it uses. */
function claimProgArrays(image: ProgramImage, maps: readonly VmMap[]): void {
  const kind = tailCallKind(image);
  for (const map of maps) {
    if (!(map instanceof ProgArrayMap) || map.claim(kind) === 0) continue;
    const reason = 'the prog array is for programs of another type';
    throw errnoError('EINVAL', 'load program', { map: map.name, reason });
  }
}

/** What the VM does not have is said before the first run. */
function checkSlots(image: ProgramImage): void {
  for (const slot of image.slots) {
    if (isMapSlot(slot) || isJumpTable(slot)) continue;
    throw errnoError('ENOTSUPP', 'load program', { reason: lackWords(slot) });
  }
}

function lackWords(slot: Exclude<Slot, MapSlot | JumpTableSlot>): string {
  const at = `at instruction ${slot.insn}`;
  switch (slot.kind) {
    case 'kfunc':
      return `the VM has no kernel function ${quoteName(slot.name)} (called ${at})`;
    case 'kernel-variable':
      return `the VM has no kernel variable ${quoteName(slot.name)} (used ${at})`;
  }
}

/** Offset in VM memory for a slot (`map_direct_value_addr` for values). */
function slotOffset(vm: Vm, slot: Slot, maps: readonly (BackendMap | undefined)[]): number {
  if (!isMapSlot(slot)) throw new Error(`no program is loaded with a slot of kind ${slot.kind}`);
  const map = slotMap(vm, slot, maps);
  if (slot.kind === 'map') return map.header;
  if (!(map instanceof ArrayMap)) {
    const reason = 'only values of arrays can be addressed directly';
    throw errnoError('EINVAL', 'load program', { map: map.name, reason });
  }
  if (map.maxEntries !== 1) {
    const reason = 'only arrays with one entry can be addressed directly';
    throw errnoError('ENOTSUPP', 'load program', { map: map.name, reason });
  }
  if (slot.offset >= map.valueSize) {
    const reason = `offset ${slot.offset} is beyond its value of ${map.valueSize} bytes`;
    throw errnoError('EINVAL', 'load program', { map: map.name, reason });
  }
  return map.elements + slot.offset;
}

/** Types whose contexts hold pointers that the verifier knows by BTF. */
const btfTypes: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE.TRACING,
  BPF_PROG_TYPE.LSM,
  BPF_PROG_TYPE.STRUCT_OPS,
  BPF_PROG_TYPE.EXT,
]);

/** Whether loads of a program may go through BTF pointers, which read as 0 where nothing is mapped. */
function holdsBtfPointers(image: ProgramImage): boolean {
  if (btfTypes.has(image.type)) return true;
  const { code, src, imm } = image.insns;
  return code.some(
    (op, at) => op === 0x85 && src[at] === 0 && imm[at] === BPF_FUNC.get_current_task_btf,
  );
}
