import { BPF_PROG_TYPE } from '../abi/bpf.ts';
import type { Btf } from '../btf/btf.ts';
import { essentialName, resolveType, sizeOf } from '../btf/graph.ts';
import { BTF_KIND, type BtfComposite, type BtfMember, type TypeId } from '../btf/types.ts';
import { BpfError, withContext } from '../errors.ts';
import type { StructOpsTarget } from '../object/image.ts';
import type {
  FunctionIndex,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
  StructOpsSpec,
} from '../object/spec.ts';
import { findType, type KernelTypes } from './target.ts';

/** A struct_ops map in the layout of the target. */
export interface StructOpsMap {
  /** `struct bpf_struct_ops_NAME`, in the types of the kernel or of `module`. */
  readonly valueType: TypeId;
  readonly module: string | undefined;
  /** All of it, with the kernel's part in front of the struct; functions are left 0. */
  readonly value: Uint8Array;
  /** Places of the functions in `value`, in bytes. */
  readonly functions: readonly { readonly offset: number; readonly function: FunctionIndex }[];
  /** Members that the target does not have; the object leaves them 0, or their program is dropped. */
  readonly left: readonly string[];
}

/** What {@link planStructOps} decides about an object. */
export interface StructOpsPlan {
  /** By the map's index; only maps that are to be made. */
  readonly maps: ReadonlyMap<number, StructOpsMap>;
  /** What each program is verified as, by its function. */
  readonly programs: ReadonlyMap<FunctionIndex, StructOpsTarget>;
  /** Programs that maps refer to, and whether one of those maps is to be made. */
  readonly wanted: ReadonlyMap<FunctionIndex, boolean>;
}

/**
 * Converts an object's structs of callbacks to the layout that the target has for them
 * (libbpf's `bpf_map__init_kern_struct_ops`): members are matched by name, sizes and kinds must
 * be the same, members that the target lacks must be 0 or a callback, which is dropped then.
 * A program becomes a member's by being named there; it may be so in several maps, as long as
 * it is the same member of the same struct.
 */
export function planStructOps(spec: ObjectSpec, types: KernelTypes | undefined): StructOpsPlan {
  const maps = new Map<number, StructOpsMap>();
  const programs = new Map<FunctionIndex, StructOpsTarget>();
  const wanted = new Map<FunctionIndex, boolean>();
  spec.maps.forEach((map, index) => {
    const { structOps } = map;
    if (structOps === undefined) return;
    if (!isCreated(map)) {
      for (const { function: fn } of structOps.functions) wanted.set(fn, wanted.get(fn) ?? false);
      return;
    }
    const planned = withContext({ map: map.name }, () => {
      return new Conversion(spec, structOps, types).run(programs, wanted);
    });
    maps.set(index, planned);
  });
  return { maps, programs, wanted };
}

/** Whether a map is to be made: what the user says, else what its section says. */
export function isCreated({ autocreate, structOps }: MapSpec): boolean {
  return autocreate ?? structOps?.autocreate ?? true;
}

/**
 * Whether a program is to be loaded: one that struct_ops maps refer to is if one of these maps
 * is made, whatever it says itself (`bpf_object_adjust_struct_ops_autoload`).
 */
export function structOpsAutoload(
  { wanted }: StructOpsPlan,
  program: ProgramSpec,
): boolean | undefined {
  if (program.type !== BPF_PROG_TYPE.STRUCT_OPS) return undefined;
  return wanted.get(program.function);
}

/** The struct on the target, and the struct around it that the kernel keeps it in. */
interface TargetStruct {
  readonly btf: Btf;
  readonly module: string | undefined;
  readonly struct: BtfComposite;
  readonly wrapper: BtfComposite;
  /** Of the struct in the wrapper, in bytes. */
  readonly offset: number;
}

/** One map on its way to the target's layout. */
class Conversion {
  readonly #spec: ObjectSpec;
  readonly #btf: Btf;
  readonly #ops: StructOpsSpec;
  readonly #struct: BtfComposite;
  readonly #target: TargetStruct;
  readonly #targetMembers = new Map<string, number>();
  readonly #functions: { readonly offset: number; readonly function: FunctionIndex }[] = [];
  readonly #left: string[] = [];
  readonly #value: Uint8Array;

  constructor(spec: ObjectSpec, ops: StructOpsSpec, types: KernelTypes | undefined) {
    if (spec.btf === undefined) throw new Error('a struct_ops map has a type');
    const struct = spec.btf.type(resolveType(spec.btf, ops.type));
    if (struct.kind !== 'struct') throw new Error('a struct_ops map is a struct');
    this.#spec = spec;
    this.#btf = spec.btf;
    this.#ops = ops;
    this.#struct = struct;
    this.#target = findStruct(struct.name, types);
    this.#value = new Uint8Array(this.#target.wrapper.size);
    this.#target.struct.members.forEach(({ name }, index) => {
      if (!this.#targetMembers.has(name)) this.#targetMembers.set(name, index);
    });
  }

  run(
    programs: Map<FunctionIndex, StructOpsTarget>,
    wanted: Map<FunctionIndex, boolean>,
  ): StructOpsMap {
    const functions = new Map(this.#ops.functions.map((each) => [each.member, each.function]));
    this.#struct.members.forEach((member, index) => {
      this.#member(member, functions.get(index), programs, wanted);
    });
    const { wrapper, module } = this.#target;
    return {
      valueType: wrapper.id,
      module,
      value: this.#value,
      functions: this.#functions,
      left: this.#left,
    };
  }

  #member(
    member: BtfMember,
    fn: FunctionIndex | undefined,
    programs: Map<FunctionIndex, StructOpsTarget>,
    wanted: Map<FunctionIndex, boolean>,
  ): void {
    const index = this.#targetMembers.get(member.name);
    const there = index === undefined ? undefined : this.#target.struct.members[index];
    if (index === undefined || there === undefined) {
      this.#leave(member, fn);
      if (fn !== undefined && !wanted.has(fn)) wanted.set(fn, false);
      return;
    }
    this.#checkKinds(member, there);
    if (this.#kindOf(this.#btf, member) !== BTF_KIND.PTR) this.#copy(member, there);
    else if (fn !== undefined) {
      this.#checkFunction(member, there, fn);
      this.#own(fn, index, programs);
      wanted.set(fn, true);
      this.#functions.push({ offset: this.#offset(there), function: fn });
    }
  }

  /** Members that the target does not know are fine as long as they say nothing. */
  #leave(member: BtfMember, fn: FunctionIndex | undefined): void {
    const bytes = this.#bytesOf(member);
    if (fn === undefined && bytes.some((byte) => byte !== 0)) {
      throw this.#refuse(member, 'the target has no such member, and the object sets it');
    }
    this.#left.push(member.name);
  }

  #checkKinds(member: BtfMember, there: BtfMember): void {
    if (member.bitSize !== 0 || there.bitSize !== 0) {
      throw this.#refuse(member, 'it is a bit field, which no loader can convert');
    }
    if (this.#kindOf(this.#btf, member) !== this.#kindOf(this.#target.btf, there)) {
      throw this.#refuse(member, 'it has a type of another kind on the target');
    }
  }

  #kindOf(btf: Btf, member: BtfMember): number {
    return btf.kindOf(resolveType(btf, member.type));
  }

  #copy(member: BtfMember, there: BtfMember): void {
    const bytes = this.#bytesOf(member);
    const size = sizeOf(this.#target.btf, there.type);
    if (size !== bytes.length) {
      const reason = `it has ${bytes.length} bytes here and ${size} on the target`;
      throw this.#refuse(member, reason);
    }
    this.#value.set(bytes, this.#offset(there));
  }

  #checkFunction(member: BtfMember, there: BtfMember, fn: FunctionIndex): void {
    const { btf } = this.#target;
    const pointee = resolveType(btf, btf.sizeOrTypeOf(resolveType(btf, there.type)) as TypeId);
    if (btf.kindOf(pointee) !== BTF_KIND.FUNC_PROTO) {
      throw this.#refuse(member, 'it is no pointer to a function on the target');
    }
    const program = this.#spec.programs.find((each) => each.function === fn);
    if (program?.type === BPF_PROG_TYPE.STRUCT_OPS) return;
    throw this.#refuse(member, 'it holds a function that is no struct_ops program');
  }

  /** The program is verified as this member; it cannot be verified as another one too. */
  #own(fn: FunctionIndex, member: number, programs: Map<FunctionIndex, StructOpsTarget>): void {
    const { struct, module } = this.#target;
    const known = programs.get(fn);
    if (known === undefined) {
      programs.set(fn, { name: struct.name, type: struct.id, member, module });
      return;
    }
    if (known.type === struct.id && known.module === module && known.member === member) return;
    const program = this.#spec.functions[fn]?.name ?? `function ${fn}`;
    const reason =
      'it stands for different members of structs of callbacks; write one program for each';
    throw new BpfError({ code: 'struct-ops-program', program, reason });
  }

  #bytesOf(member: BtfMember): Uint8Array {
    const at = Math.floor(member.bitOffset / 8);
    const size =
      member.bitSize === 0 ? sizeOf(this.#btf, member.type) : Math.ceil(member.bitSize / 8);
    return this.#ops.contents.subarray(at, at + size);
  }

  /** Place of a target member in the value, checked: the target's types may be anyone's. */
  #offset(there: BtfMember): number {
    const offset = this.#target.offset + there.bitOffset / 8;
    const size = sizeOf(this.#target.btf, there.type);
    if (offset + size <= this.#value.length) return offset;
    throw this.#refuse(there, 'on the target it is outside of its struct');
  }

  #refuse({ name: member }: BtfMember, reason: string): BpfError {
    return new BpfError({ code: 'struct-ops-member', struct: this.#struct.name, member, reason });
  }
}

/** `find_struct_ops_kern_types`; flavours of the name do not count. */
function findStruct(localName: string, types: KernelTypes | undefined): TargetStruct {
  const name = essentialName(localName);
  const wanted = `bpf_struct_ops_${name}`;
  const found = findType(types, wanted, BTF_KIND.STRUCT);
  if (found === undefined) throw unknown(localName, wanted);
  const { btf, module } = found;
  const wrapper = btf.type(found.type);
  const id = btf.find(name, BTF_KIND.STRUCT);
  const struct = id === undefined ? undefined : btf.type(id);
  if (wrapper.kind !== 'struct' || struct?.kind !== 'struct') throw unknown(localName, name);
  const data = wrapper.members.find((member) => member.type === struct.id);
  if (data === undefined) throw unknown(localName, `${wanted}.data`);
  return { btf, module, struct, wrapper, offset: data.bitOffset / 8 };
}

function unknown(struct: string, wanted: string): BpfError {
  return new BpfError({ code: 'struct-ops-unknown', struct, wanted });
}
