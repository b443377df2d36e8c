import { BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../abi/bpf.ts';
import type { Backend, BackendMap, TestRunResult } from '../../backend/backend.ts';
import type { Btf } from '../../btf/btf.ts';
import { type DataValue, decodeValue } from '../../btf/decode.ts';
import { resolveType } from '../../btf/graph.ts';
import type { TypeId } from '../../btf/types.ts';
import { toHex } from '../../bytes/hex.ts';
import { quoteName } from '../../errors/quote.ts';
import { BpfError } from '../../errors.ts';
import { loadObject } from '../../loader/load.ts';
import type { LoadedObject } from '../../loader/loaded.ts';
import type { FunctionIndex, MapSpec, ObjectSpec, ProgramSpec } from '../../object/spec.ts';
import type { EngineChoice } from '../../vm/index.ts';
import { openBackend, readTypes } from '../backends.ts';
import { chooseProgram, openObjectFile, readBytesArgument, readNumber } from '../input.ts';
import type { Json } from '../json.ts';
import { actionName, mapTypeName, progTypeName } from '../names.ts';
import { renderRun } from '../render/run.ts';
import { type CommandContext, printReport } from '../terminal.ts';
import { UsageError } from '../usage.ts';
import { type ObserveOptions, observe } from './observe.ts';

/** What `tsbpf run` prints: what a program returned and what it left behind. */
export type RunReport = {
  readonly file: string;
  readonly backend: string;
  readonly program: string;
  readonly type: string;
  readonly return_value: number;
  /** Meaning of the return value, for program types that have one. */
  readonly action: string | undefined;
  readonly repeat: number;
  /** Mean time of one run in nanoseconds. */
  readonly duration: number;
  /** The packet afterwards, in hex. */
  readonly data_out: string | undefined;
  /** The context afterwards, in hex. */
  readonly ctx_out: string | undefined;
  readonly maps: readonly RunMap[];
  /** Lines that the program printed (`bpf_printk`); the VM's own log, never the kernel's. */
  readonly trace: readonly string[];
};

export type RunMap = {
  readonly name: string;
  readonly type: string;
  /** Present for maps with keys, except those of data sections. */
  readonly elements: readonly RunElement[] | undefined;
  /** Present for maps of data sections: their variables by name. */
  readonly variables: Json | undefined;
  /** Present for ring buffers, queues and stacks: the samples or values, in order. */
  readonly events: readonly Json[] | undefined;
  /** Why the contents are not shown. */
  readonly note: string | undefined;
};

export type RunElement = {
  readonly key: Json;
  readonly value: Json | undefined;
  /** Present for per-CPU maps instead of `value`. */
  readonly values: readonly { readonly cpu: number; readonly value: Json }[] | undefined;
};

export type RunOptions = {
  readonly program: string | undefined;
  readonly data: Uint8Array | undefined;
  readonly context: Uint8Array | undefined;
  readonly repeat: number;
  readonly targetBtf: Btf | undefined;
  /** Name of a struct in the object's BTF that ring buffer samples are decoded as. */
  readonly event: string | undefined;
  /** What the program printed, for backends that keep it. */
  readonly trace: () => readonly string[];
  /** Told what was loaded, before it runs. */
  readonly loaded?: ((object: LoadedObject) => void) | undefined;
};

/** Programs whose test run wants a packet (`bpf_prog_test_run_xdp`, `bpf_prog_test_run_skb`). */
const needPacket: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE.XDP,
  BPF_PROG_TYPE.SOCKET_FILTER,
  BPF_PROG_TYPE.SCHED_CLS,
  BPF_PROG_TYPE.SCHED_ACT,
  BPF_PROG_TYPE.CGROUP_SKB,
  BPF_PROG_TYPE.SK_SKB,
  BPF_PROG_TYPE.LWT_IN,
  BPF_PROG_TYPE.LWT_OUT,
  BPF_PROG_TYPE.LWT_XMIT,
  BPF_PROG_TYPE.LWT_SEG6LOCAL,
  BPF_PROG_TYPE.FLOW_DISSECTOR,
  BPF_PROG_TYPE.NETFILTER,
]);

/**
 * Loads the object, runs one of its programs and collects what is in the maps. Throws a
 * {@link UsageError} where the program needs a packet and none is given.
 */
export function runObject(
  spec: ObjectSpec,
  file: string,
  backend: Backend,
  options: RunOptions,
): RunReport {
  const program = chooseProgram(spec, options.program);
  if (options.data === undefined && needPacket.has(program.type ?? 0)) {
    const words = `${progTypeName(program.type ?? 0)} program ${quoteName(program.name)}`;
    throw new UsageError(
      `the ${words} needs a packet: give one with --packet FILE or --packet HEX`,
    );
  }
  const inMaps = programsInMaps(spec);
  using object = loadObject(spec, {
    backend,
    targetBtf: options.targetBtf,
    autoload: (each) => each === program || (each.autoload && inMaps.has(each.function)),
  });
  const { data, context, repeat } = options;
  options.loaded?.(object);
  const result = object.program(program.name).testRun({ data, context, repeat });
  const contents = new Contents(spec.btf, options.event);
  return {
    file,
    backend: backend.name,
    program: program.name,
    type: progTypeName(program.type ?? 0),
    ...describeResult(program, result),
    repeat,
    maps: object.mapList.flatMap((map, index) =>
      map === undefined ? [] : [contents.read(spec.maps[index] as MapSpec, map)],
    ),
    trace: options.trace(),
  };
}

/** Programs that prog arrays hold from the start; they must be loaded too. */
function programsInMaps(spec: ObjectSpec): ReadonlySet<FunctionIndex> {
  const values = spec.maps.flatMap((map) => map.values);
  return new Set(values.flatMap((value) => (value.kind === 'program' ? [value.program] : [])));
}

function describeResult(
  program: ProgramSpec,
  result: TestRunResult,
): Pick<RunReport, 'return_value' | 'action' | 'duration' | 'data_out' | 'ctx_out'> {
  return {
    return_value: result.returnValue,
    action: actionName(program.type ?? 0, result.returnValue),
    duration: result.duration,
    data_out: result.data === undefined ? undefined : toHex(result.data),
    ctx_out: result.context === undefined ? undefined : toHex(result.context),
  };
}

/** Maps whose values are handles, which mean nothing outside of the backend. */
const handleMaps: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.PROG_ARRAY,
  BPF_MAP_TYPE.PERF_EVENT_ARRAY,
  BPF_MAP_TYPE.ARRAY_OF_MAPS,
  BPF_MAP_TYPE.HASH_OF_MAPS,
]);

/** Maps whose value is one copy for each CPU. */
const perCpuMaps: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.PERCPU_HASH,
  BPF_MAP_TYPE.PERCPU_ARRAY,
  BPF_MAP_TYPE.LRU_PERCPU_HASH,
]);

/** Reads the contents of maps, decoded by BTF where the object gives types. */
class Contents {
  readonly #btf: Btf | undefined;
  readonly #event: TypeId | undefined;

  constructor(btf: Btf | undefined, event: string | undefined) {
    this.#btf = btf;
    this.#event = event === undefined ? undefined : requireType(btf, event);
  }

  read(spec: MapSpec, map: BackendMap): RunMap {
    const base = {
      name: spec.name,
      type: mapTypeName(spec.type),
      elements: undefined,
      variables: undefined,
      events: undefined,
      note: undefined,
    };
    if (spec.type === BPF_MAP_TYPE.RINGBUF) {
      const events: Json[] = [];
      map.consume((sample) => {
        events.push(this.#value(this.#event ?? spec.valueType, sample));
      });
      return { ...base, events };
    }
    if (spec.type === BPF_MAP_TYPE.QUEUE || spec.type === BPF_MAP_TYPE.STACK) {
      return { ...base, events: this.#drained(spec, map) };
    }
    if (spec.type === BPF_MAP_TYPE.BLOOM_FILTER) {
      return { ...base, note: 'what is in a Bloom filter cannot be listed' };
    }
    if (handleMaps.has(spec.type)) {
      return { ...base, note: 'holds programs or maps' };
    }
    if (spec.data !== undefined) {
      const value = map.lookup(new Uint8Array(map.keySize));
      return { ...base, variables: value === undefined ? {} : this.#value(spec.valueType, value) };
    }
    return { ...base, elements: this.#elements(spec, map) };
  }

  /** What comes out of a queue or stack, in its order. */
  #drained(spec: MapSpec, map: BackendMap): readonly Json[] {
    const values: Json[] = [];
    const key = new Uint8Array(0);
    for (let left = map.maxEntries; left > 0; left--) {
      const value = map.lookupAndDelete(key);
      if (value === undefined) break;
      values.push(this.#value(spec.valueType, value));
    }
    return values;
  }

  #elements(spec: MapSpec, map: BackendMap): readonly RunElement[] {
    const elements: RunElement[] = [];
    // A key that is not found is followed by the first one: a program that writes over its keys,
    // or one that is replaced all the time, would make the walk endless.
    let left = map.maxEntries;
    for (let key = map.nextKey(undefined); key !== undefined && left > 0; left--) {
      const value = map.lookup(key);
      if (value !== undefined) elements.push(this.#element(spec, map, key, value));
      key = map.nextKey(key);
    }
    return elements;
  }

  #element(spec: MapSpec, map: BackendMap, key: Uint8Array, value: Uint8Array): RunElement {
    const decodedKey = this.#value(spec.keyType, key);
    if (!perCpuMaps.has(spec.type)) {
      return { key: decodedKey, value: this.#value(spec.valueType, value), values: undefined };
    }
    // Per-CPU copies, each rounded up to 8 bytes.
    const stride = (map.valueSize + 7) & ~7;
    const values: { cpu: number; value: Json }[] = [];
    for (let cpu = 0; (cpu + 1) * stride <= value.length; cpu++) {
      const copy = value.subarray(cpu * stride, cpu * stride + map.valueSize);
      values.push({ cpu, value: this.#value(spec.valueType, copy) });
    }
    return { key: decodedKey, value: undefined, values };
  }

  #value(type: TypeId | undefined, bytes: Uint8Array): Json {
    if (type === undefined || this.#btf === undefined) return rawBytes(bytes);
    return decodeValue(this.#btf, type, bytes) satisfies DataValue;
  }
}

/** Bytes as bpftool's JSON has them: `["0x01","0x02"]`. */
function rawBytes(bytes: Uint8Array): readonly string[] {
  return Array.from(bytes, (byte) => `0x${toHex(Uint8Array.of(byte))}`);
}

function requireType(btf: Btf | undefined, name: string): TypeId {
  const plain = name.replace(/^(struct|union|enum)\s+/, '');
  const id = btf?.find(plain);
  if (btf === undefined || id === undefined) throw new BpfError({ code: 'no-such-type', name });
  return resolveType(btf, id);
}

/** Words and options of `tsbpf run`, as the command line gives them. */
export type RunArguments = {
  readonly program?: string;
  readonly packet?: string;
  readonly context?: string;
  readonly repeat: string;
  readonly event?: string;
  readonly btf?: string;
  readonly backend: 'vm' | 'kernel';
  readonly engine?: EngineChoice;
} & ObserveOptions;

/** `tsbpf run OBJ [--program NAME] [--packet FILE|HEX] …`. */
export async function runCommand(
  file: string,
  args: RunArguments,
  context: CommandContext,
): Promise<void> {
  const bytes = (value: string | undefined, option: string) =>
    value === undefined ? undefined : readBytesArgument(value, option);
  const spec = openObjectFile(file, context.log);
  const targetBtf = args.btf === undefined ? undefined : await readTypes(args.btf);
  const data = bytes(args.packet, '--packet');
  const ctx = bytes(args.context, '--context');
  const repeat = readNumber(args.repeat, '--repeat', 1, 0x7fff_ffff);
  using opened = await openBackend(args.backend, targetBtf, args.engine);
  const { backend, trace } = opened;
  const { program, event } = args;
  const observation = await observe(opened.vm, args, context.terminal);
  const loaded = observation?.loaded;
  const options = { program, data, context: ctx, repeat, targetBtf, event, trace, loaded };
  context.log.debug({ backend: backend.name, cpus: backend.cpuCount }, 'opened backend');
  const report = runObject(spec, file, backend, options);
  observation?.finish();
  printReport(context, report, renderRun);
}
