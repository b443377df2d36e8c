import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { Btf } from '../btf/btf.ts';
import { resolveType, sizeOf, typeToString } from '../btf/graph.ts';
import { BTF_KIND, type BtfComposite, type BtfMember, type TypeId } from '../btf/types.ts';
import type { MapFault } from '../errors/object.ts';
import { BpfError, describe } from '../errors.ts';
import { cutName } from './names.ts';
import type { MapSpec } from './spec.ts';

/** Map types whose values are maps. */
export function isMapOfMaps(type: number): boolean {
  return type === BPF_MAP_TYPE.ARRAY_OF_MAPS || type === BPF_MAP_TYPE.HASH_OF_MAPS;
}

/** More members than there are names for: many maps may share one definition of any length. */
const mostMembers = 32;

/**
 * The types that definitions are made of, with the ends of the chains of references followed
 * so far: any number of maps may share one chain, as long as chains may be.
 */
export class DefinitionTypes {
  readonly btf: Btf;
  /** Members without a meaning are passed over (libbpf's `relaxed_maps`), not refused. */
  readonly relaxed: boolean;
  readonly #resolved = new Map<TypeId, TypeId>();
  readonly #sizes = new Map<TypeId, number>();

  constructor(btf: Btf, relaxed = false) {
    this.btf = btf;
    this.relaxed = relaxed;
  }

  /** {@link resolveType}, each chain once. */
  resolve(id: TypeId): TypeId {
    const known = this.#resolved.get(id);
    if (known !== undefined) return known;
    const end = resolveType(this.btf, id);
    if (end !== id) this.#resolved.set(id, end);
    return end;
  }

  /** {@link sizeOf}, each type once. */
  sizeOf(id: TypeId): number {
    const known = this.#sizes.get(id);
    if (known !== undefined) return known;
    const size = sizeOf(this.btf, id);
    this.#sizes.set(id, size);
    return size;
  }
}

/** A definition while its members are read, in their order. */
interface Draft {
  readonly types: DefinitionTypes;
  readonly btf: Btf;
  readonly name: string;
  readonly isInner: boolean;
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  extra: bigint;
  numaNode: number;
  keyType: TypeId | undefined;
  valueType: TypeId | undefined;
  pinning: MapSpec['pinning'];
  inner: MapSpec | undefined;
}

/**
 * Reads the struct that defines a map: libbpf's `parse_btf_map_def`, strict or relaxed. Numbers are
 * pointers to arrays of that length (`__uint`) or enums with one enumerator (`__ulong`);
 * types are pointers to them (`__type`); `values` is a flexible array at the end
 * (`__array`), of pointers to a map definition or to functions. Throws a {@link BpfError}
 * that names map and member.
 */
export function parseMapDefinition(
  types: DefinitionTypes,
  name: string,
  definition: BtfComposite,
  isInner = false,
): MapSpec {
  const draft: Draft = {
    types,
    btf: types.btf,
    name,
    isInner,
    type: BPF_MAP_TYPE.UNSPEC,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: undefined,
    pinning: 'none',
    inner: undefined,
  };
  const last = definition.members.length - 1;
  const seen = new Set<string>();
  definition.members.forEach((member, index) => {
    if (seen.has(member.name)) throw bad(draft, member.name, { kind: 'duplicate-member' });
    seen.add(member.name);
    readMember(draft, member, index === last);
  });
  if (draft.type === BPF_MAP_TYPE.UNSPEC) throw bad(draft, '', { kind: 'no-type' });
  return finish(draft);
}

function finish(draft: Draft): MapSpec {
  return {
    name: draft.name,
    kernelName: cutName(draft.name),
    type: draft.type,
    keySize: draft.keySize,
    valueSize: draft.valueSize,
    maxEntries: draft.maxEntries,
    flags: draft.flags,
    extra: draft.extra,
    numaNode: draft.numaNode,
    keyType: draft.keyType,
    valueType: draft.valueType,
    pinning: draft.pinning,
    inner: draft.inner,
    values: [],
    data: undefined,
  };
}

function readMember(draft: Draft, member: BtfMember, isLast: boolean): void {
  switch (member.name) {
    case 'type':
      draft.type = readU32(draft, member);
      return;
    case 'max_entries':
      draft.maxEntries = readU32(draft, member);
      return;
    case 'map_flags':
      draft.flags = readU32(draft, member);
      return;
    case 'numa_node':
      draft.numaNode = readU32(draft, member);
      return;
    case 'map_extra':
      draft.extra = readNumber(draft, member);
      return;
    case 'key_size':
      setKeySize(draft, member, readU32(draft, member));
      return;
    case 'value_size':
      setValueSize(draft, member, readU32(draft, member));
      return;
    case 'key':
      draft.keyType = pointedType(draft, member);
      setKeySize(draft, member, typeSize(draft, member, draft.keyType));
      return;
    case 'value':
      draft.valueType = pointedType(draft, member);
      setValueSize(draft, member, typeSize(draft, member, draft.valueType));
      return;
    case 'values':
      readValues(draft, member, isLast);
      return;
    case 'pinning':
      draft.pinning = readPinning(draft, member);
      return;
    default:
      if (draft.types.relaxed) return;
      throw bad(draft, member.name, { kind: 'unknown-member' });
  }
}

function setKeySize(draft: Draft, member: BtfMember, size: number): void {
  checkSize(draft, member, draft.keySize, size);
  draft.keySize = size;
}

function setValueSize(draft: Draft, member: BtfMember, size: number): void {
  checkSize(draft, member, draft.valueSize, size);
  draft.valueSize = size;
}

/** Size and type may both be given, but must agree. */
function checkSize(draft: Draft, member: BtfMember, first: number, second: number): void {
  if (first === 0 || first === second) return;
  throw bad(draft, member.name, { kind: 'conflicting-size', first, second });
}

function readU32(draft: Draft, member: BtfMember): number {
  const value = readNumber(draft, member);
  if (value > 0xffffffffn) throw bad(draft, member.name, { kind: 'number-too-large', value });
  return Number(value);
}

// Types are looked at by kind before they are materialised: many members of many maps may
// name one enormous type, which costs its whole length each time.

/** The number that a member stands for, unsigned, 64 bits wide. */
function readNumber(draft: Draft, member: BtfMember): bigint {
  const { types, btf } = draft;
  const id = types.resolve(member.type);
  const kind = btf.kindOf(id);
  if (kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64) return onlyEnumerator(draft, member, id);
  const target = kind === BTF_KIND.PTR ? (btf.sizeOrTypeOf(id) as TypeId) : id;
  if (kind === BTF_KIND.PTR && btf.kindOf(target) === BTF_KIND.ARRAY) {
    const array = btf.type(target);
    if (array.kind === 'array') return BigInt(array.length);
  }
  throw bad(draft, member.name, { kind: 'not-a-number', is: typeToString(btf, id) });
}

function onlyEnumerator(draft: Draft, member: BtfMember, id: TypeId): bigint {
  const count = draft.btf.vlenOf(id);
  if (count !== 1) throw bad(draft, member.name, { kind: 'not-one-enumerator', count });
  const type = draft.btf.type(id);
  if (type.kind !== 'enum' && type.kind !== 'enum64') throw new Error(`type ${id} is no enum`);
  return BigInt.asUintN(64, type.values[0]?.value ?? 0n);
}

/** What `__type(key, T)` points at. */
function pointedType(draft: Draft, member: BtfMember): TypeId {
  const { btf } = draft;
  if (btf.kindOf(member.type) === BTF_KIND.PTR) return btf.sizeOrTypeOf(member.type) as TypeId;
  throw bad(draft, member.name, { kind: 'not-a-pointer', is: typeToString(btf, member.type) });
}

function typeSize(draft: Draft, member: BtfMember, id: TypeId): number {
  try {
    return draft.types.sizeOf(id);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const is = typeToString(draft.btf, id);
    throw bad(draft, member.name, { kind: 'no-size', is, reason: describe(error.detail) }, error);
  }
}

function readPinning(draft: Draft, member: BtfMember): MapSpec['pinning'] {
  if (draft.isInner) throw bad(draft, member.name, { kind: 'inner-pinned' });
  const value = readU32(draft, member);
  // LIBBPF_PIN_NONE and LIBBPF_PIN_BY_NAME of <bpf/bpf_helpers.h>.
  if (value === 0) return 'none';
  if (value === 1) return 'by-name';
  throw bad(draft, member.name, { kind: 'pinning', value });
}

function readValues(draft: Draft, member: BtfMember, isLast: boolean): void {
  const isPrograms = draft.type === BPF_MAP_TYPE.PROG_ARRAY;
  if (draft.isInner) throw bad(draft, member.name, { kind: 'values-nested' });
  if (!isLast) throw bad(draft, member.name, { kind: 'values-not-last' });
  if (!isPrograms && !isMapOfMaps(draft.type)) {
    throw bad(draft, member.name, { kind: 'values-map-type', type: draft.type });
  }
  // Both hold file descriptors.
  setValueSize(draft, member, 4);
  const element = valuesElement(draft, member);
  const wanted = isPrograms ? BTF_KIND.FUNC_PROTO : BTF_KIND.STRUCT;
  if (draft.btf.kindOf(element) !== wanted) {
    throw bad(draft, member.name, {
      kind: 'values-element',
      is: typeToString(draft.btf, element),
      wanted: isPrograms ? 'functions' : 'map definitions',
    });
  }
  if (isPrograms) return;
  const name = `${draft.name}.inner`;
  const definition = definitionAt(draft.types, name, element);
  draft.inner = parseMapDefinition(draft.types, name, definition, true);
}

/** What the elements of a flexible array of pointers point at. */
function valuesElement(draft: Draft, member: BtfMember): TypeId {
  const { types, btf } = draft;
  const array = btf.kindOf(member.type) === BTF_KIND.ARRAY ? btf.type(member.type) : undefined;
  if (array?.kind === 'array' && array.length === 0) {
    const pointer = types.resolve(array.element);
    if (btf.kindOf(pointer) === BTF_KIND.PTR) {
      return types.resolve(btf.sizeOrTypeOf(pointer) as TypeId);
    }
  }
  throw bad(draft, member.name, { kind: 'values-shape', is: typeToString(btf, member.type) });
}

/** The struct at `id`, which defines map `name`. */
export function definitionAt(types: DefinitionTypes, name: string, id: TypeId): BtfComposite {
  const { btf } = types;
  const at = types.resolve(id);
  if (btf.kindOf(at) !== BTF_KIND.STRUCT) {
    throw badMap(name, '', { kind: 'not-a-struct', is: typeToString(btf, at) });
  }
  const count = btf.vlenOf(at);
  if (count > mostMembers) throw badMap(name, '', { kind: 'too-many-members', count });
  const type = btf.type(at);
  if (type.kind !== 'struct') throw new Error(`type ${at} is no struct`);
  return type;
}

/** The error for a definition; `member` is empty where it is about the map as a whole. */
export function badMap(map: string, member: string, fault: MapFault, cause?: unknown): BpfError {
  return new BpfError({ code: 'map-definition', map, member, fault }, { cause });
}

function bad(draft: Draft, member: string, fault: MapFault, cause?: unknown): BpfError {
  return badMap(draft.name, member, fault, cause);
}
