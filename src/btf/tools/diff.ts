import type { Btf } from '../btf.ts';
import { typeToString } from '../graph.ts';
import {
  BTF_KIND,
  type BtfComposite,
  type BtfDataSection,
  type BtfEnum,
  type BtfFunc,
  type BtfInt,
  type BtfKind,
  type BtfType,
  type Linkage,
  type TypeId,
} from '../types.ts';
import { type FlatMember, MemberLister } from './diff-members.ts';
import { Interner, Shapes } from './diff-shapes.ts';

/** What types are told apart by besides their names; `enum` stands for enums of any width. */
export type NamedKind =
  | 'int'
  | 'float'
  | 'struct'
  | 'union'
  | 'enum'
  | 'typedef'
  | 'fwd'
  | 'func'
  | 'var'
  | 'datasec';

/** A type by name. */
export interface TypeName {
  readonly kind: NamedKind;
  readonly name: string;
}

/** A type that only one of the two BTFs has. */
export interface DiffedType extends TypeName {
  readonly id: TypeId;
}

/** A member of a struct or union, or a variable of a data section. */
export interface DiffMember {
  /** Its path where it is in a struct without a name: `__pt.pmd`, `slots[].key`. */
  readonly name: string;
  /** From the start of the named struct, in bits. */
  readonly bitOffset: number;
  /** Width in bits of a bit field, 0 for an ordinary member. */
  readonly bitSize: number;
  /** In bytes; undefined where the type has none. */
  readonly size: number | undefined;
  readonly typeId: TypeId;
  /** Type in C's words, names as they are in the BTF. */
  readonly type: string;
}

/** A parameter of a function; `type` in C's words. */
export interface DiffParam {
  readonly name: string;
  readonly type: string;
}

/** One thing that differs between two types. */
export type BtfDetail =
  /** In bytes. */
  | { readonly what: 'size'; readonly old: number; readonly new: number }
  | { readonly what: 'member-added'; readonly member: DiffMember }
  | { readonly what: 'member-removed'; readonly member: DiffMember }
  | {
      readonly what: 'member-changed';
      readonly old: DiffMember;
      readonly new: DiffMember;
      /** Its offset differs. */
      readonly moved: boolean;
      /** Its type differs. */
      readonly retyped: boolean;
      /** Its size, or its width as a bit field, differs. */
      readonly resized: boolean;
    }
  | { readonly what: 'enumerator-added'; readonly name: string; readonly value: bigint }
  | { readonly what: 'enumerator-removed'; readonly name: string; readonly value: bigint }
  | {
      readonly what: 'enumerator-changed';
      readonly name: string;
      readonly old: bigint;
      readonly new: bigint;
    }
  /** Signed or unsigned enum; integer's sign, bits, char, bool: in words. */
  | { readonly what: 'encoding'; readonly old: string; readonly new: string }
  /** What a typedef stands for, the type of a variable, what a function returns. */
  | { readonly what: 'type' | 'returns'; readonly old: string; readonly new: string }
  | { readonly what: 'linkage'; readonly old: Linkage; readonly new: Linkage }
  | { readonly what: 'param-added'; readonly index: number; readonly param: DiffParam }
  | { readonly what: 'param-removed'; readonly index: number; readonly param: DiffParam }
  | {
      readonly what: 'param-changed';
      /** In the new prototype. */
      readonly index: number;
      readonly old: DiffParam;
      readonly new: DiffParam;
      readonly retyped: boolean;
    };

/** A type that both BTFs have, and not alike. */
export interface BtfTypeChange extends TypeName {
  readonly oldId: TypeId;
  readonly newId: TypeId;
  readonly details: readonly BtfDetail[];
}

/** What {@link diffBtf} found; each list in the order of ids. */
export interface BtfDiff {
  readonly removed: readonly DiffedType[];
  readonly added: readonly DiffedType[];
  readonly changed: readonly BtfTypeChange[];
}

export interface DiffBtfOptions {
  /** Compare only the types of these names; of any kind where none is given. */
  readonly only?: readonly { readonly name: string; readonly kind?: NamedKind | undefined }[];
}

/**
 * What differs between two BTFs, by kind and name of types. Types without a name are
 * compared as part of what uses them; a struct that only uses a changed struct is itself
 * changed only where its own layout is. Of several types with one kind and name, equal ones
 * are set aside first, the rest is compared in the order of ids. Of split BTF, only its own
 * level is compared.
 *
 * Takes time in proportion to both: 0.55 s (Node 20) for the vmlinux of two kernels.
 *
 * @example
 * ```ts
 * const { changed } = diffBtf(parseBtf(old), parseBtf(new), { only: [{ name: 'task_struct' }] });
 * for (const { name, details } of changed) console.log(name, details);
 * ```
 */
export function diffBtf(a: Btf, b: Btf, options: DiffBtfOptions = {}): BtfDiff {
  return new Comparison(a, b).run(options.only);
}

/** The kind that a type is compared as; undefined for what is not compared by name. */
export function namedKind(btf: Btf, id: TypeId): NamedKind | undefined {
  return kindNames.get(btf.kindOf(id));
}

/** Types of one name. */
interface Group {
  readonly old: TypeId[];
  readonly new: TypeId[];
}

class Comparison {
  readonly #old: Shapes;
  readonly #new: Shapes;
  readonly #oldMembers: MemberLister;
  readonly #newMembers: MemberLister;
  readonly #removed: DiffedType[] = [];
  readonly #added: DiffedType[] = [];
  readonly #changed: BtfTypeChange[] = [];

  constructor(a: Btf, b: Btf) {
    const interner = new Interner();
    this.#old = new Shapes(a, interner);
    this.#new = new Shapes(b, interner);
    this.#oldMembers = new MemberLister(this.#old);
    this.#newMembers = new MemberLister(this.#new);
  }

  run(only: DiffBtfOptions['only']): BtfDiff {
    const wanted = only === undefined ? undefined : new Set(only.map(wantedKey));
    const groups = new Map<number, Group>();
    collect(this.#old, 'old', groups, wanted);
    collect(this.#new, 'new', groups, wanted);
    for (const group of groups.values()) this.#compareGroup(group);
    return {
      removed: this.#removed.sort((x, y) => x.id - y.id),
      added: this.#added.sort((x, y) => x.id - y.id),
      changed: this.#changed.sort((x, y) => x.newId - y.newId),
    };
  }

  #compareGroup(group: Group): void {
    const [onlyOld, onlyNew] = this.#withoutEqual(group);
    const pairs = Math.min(onlyOld.length, onlyNew.length);
    for (let i = 0; i < pairs; i++) this.#change(onlyOld[i] as TypeId, onlyNew[i] as TypeId);
    for (const id of onlyOld.slice(pairs)) this.#removed.push(listed(this.#old.btf, id));
    for (const id of onlyNew.slice(pairs)) this.#added.push(listed(this.#new.btf, id));
  }

  /** The types of a group that have no equal on the other side. */
  #withoutEqual(group: Group): readonly [readonly TypeId[], readonly TypeId[]] {
    const [oldId, ...moreOld] = group.old;
    const [newId, ...moreNew] = group.new;
    if (oldId === undefined || newId === undefined) return [group.old, group.new];
    if (moreOld.length === 0 && moreNew.length === 0) {
      const equal = this.#definition(this.#old, oldId) === this.#definition(this.#new, newId);
      return equal ? [[], []] : [group.old, group.new];
    }
    const counts = new Map<string, number>();
    for (const id of group.old) {
      const text = this.#definition(this.#old, id);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    const take = (text: string): boolean => {
      const count = counts.get(text) ?? 0;
      if (count > 0) counts.set(text, count - 1);
      return count > 0;
    };
    const onlyNew = group.new.filter((id) => !take(this.#definition(this.#new, id)));
    const onlyOld = group.old.filter((id) => take(this.#definition(this.#old, id)));
    return [onlyOld, onlyNew];
  }

  #definition(shapes: Shapes, id: TypeId): string {
    return shapes.definition(bodyOf(shapes.btf, id));
  }

  #change(oldId: TypeId, newId: TypeId): void {
    const details: BtfDetail[] = [];
    this.#compare(oldId, newId, details);
    if (details.length === 0) return; // only a flag in how it is written
    const { kind, name } = listed(this.#new.btf, newId);
    this.#changed.push({ kind, name, oldId, newId, details });
  }

  /** Two types of one name. */
  #compare(oldId: TypeId, newId: TypeId, out: BtfDetail[]): void {
    const oldNamed = this.#old.btf.type(oldId);
    const newNamed = this.#new.btf.type(newId);
    const a = this.#old.btf.type(bodyOf(this.#old.btf, oldId));
    const b = this.#new.btf.type(bodyOf(this.#new.btf, newId));
    if (hasMembers(a) && hasMembers(b) && a.kind === b.kind) this.#compareMembers(a, b, out);
    else if (isEnum(a) && isEnum(b)) compareEnums(a, b, out);
    else if (a.kind === 'int' && b.kind === 'int') compareInts(a, b, out);
    else if (a.kind === 'float' && b.kind === 'float') compareSizes(a, b, out);
    else if (a.kind === 'func' && b.kind === 'func') this.#compareFunctions(a, b, out);
    else if (a.kind === 'var' && b.kind === 'var') {
      this.#compareTypes('type', a.type, b.type, out);
      compareLinkage(a, b, out);
    } else if (a.kind === 'fwd' && b.kind === 'fwd') {
      if (a.of !== b.of) out.push({ what: 'type', old: a.of, new: b.of });
    } else this.#compareTargets(oldNamed, newNamed, out);
  }

  #compareTargets(a: BtfType, b: BtfType, out: BtfDetail[]): void {
    if (a.kind !== 'typedef' || b.kind !== 'typedef') return;
    out.push({
      what: 'type',
      old: typeToString(this.#old.btf, a.target),
      new: typeToString(this.#new.btf, b.target),
    });
  }

  #compareTypes(what: 'type' | 'returns', a: TypeId, b: TypeId, out: BtfDetail[]): void {
    if (this.#old.reference(a) === this.#new.reference(b)) return;
    const old = typeToString(this.#old.btf, a);
    out.push({ what, old, new: typeToString(this.#new.btf, b) });
  }

  #compareMembers(
    a: BtfComposite | BtfDataSection,
    b: BtfComposite | BtfDataSection,
    out: BtfDetail[],
  ): void {
    compareSizes(a, b, out);
    const before = this.#oldMembers.list(a);
    const after = this.#newMembers.list(b);
    // Members of one name (none has to have one) are matched in their order.
    const byName = queues(before, (member) => member.shown.name);
    const kept = new Map<FlatMember, FlatMember>();
    for (const member of after) {
      const old = byName.get(member.shown.name)?.take();
      if (old !== undefined) kept.set(member, old);
    }
    const survivors = new Set(kept.values());
    for (const old of before) {
      if (!survivors.has(old)) out.push({ what: 'member-removed', member: old.shown });
    }
    for (const member of after) {
      const old = kept.get(member);
      if (old === undefined) out.push({ what: 'member-added', member: member.shown });
      else compareMember(old, member, out);
    }
  }

  #compareFunctions(a: BtfFunc, b: BtfFunc, out: BtfDetail[]): void {
    compareLinkage(a, b, out);
    const before = this.#old.btf.type(a.proto);
    const after = this.#new.btf.type(b.proto);
    if (before.kind !== 'func-proto' || after.kind !== 'func-proto') {
      this.#compareTypes('type', a.proto, b.proto, out);
      return;
    }
    this.#compareTypes('returns', before.returns, after.returns, out);
    compareParams(paramsOf(this.#old, before.params), paramsOf(this.#new, after.params), out);
  }
}

function collect(
  shapes: Shapes,
  side: 'old' | 'new',
  groups: Map<number, Group>,
  wanted: ReadonlySet<string> | undefined,
): void {
  const { btf } = shapes;
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    const code = comparedAs(btf.kindOf(id));
    if (code === undefined || btf.nameOffsetOf(id) === 0) continue;
    if (wanted !== undefined && !isWanted(btf, id, wanted)) continue;
    const key = 32 * shapes.name(id) + code;
    let group = groups.get(key);
    if (group === undefined) {
      group = { old: [], new: [] };
      groups.set(key, group);
    }
    group[side].push(id);
  }
}

/** A kind's number where types of it are compared by name; one for all enums. */
function comparedAs(kind: BtfKind): BtfKind | undefined {
  const compared = kindNames.has(kind);
  return kind === BTF_KIND.ENUM64 ? BTF_KIND.ENUM : compared ? kind : undefined;
}

const kindNames: ReadonlyMap<BtfKind, NamedKind> = new Map([
  [BTF_KIND.INT, 'int'],
  [BTF_KIND.FLOAT, 'float'],
  [BTF_KIND.STRUCT, 'struct'],
  [BTF_KIND.UNION, 'union'],
  [BTF_KIND.ENUM, 'enum'],
  [BTF_KIND.ENUM64, 'enum'],
  [BTF_KIND.TYPEDEF, 'typedef'],
  [BTF_KIND.FWD, 'fwd'],
  [BTF_KIND.FUNC, 'func'],
  [BTF_KIND.VAR, 'var'],
  [BTF_KIND.DATASEC, 'datasec'],
]);

function isWanted(btf: Btf, id: TypeId, wanted: ReadonlySet<string>): boolean {
  const { kind, name } = listed(btf, id);
  return wanted.has(` ${name}`) || wanted.has(`${kind} ${name}`);
}

function wantedKey({ kind, name }: { kind?: NamedKind | undefined; name: string }): string {
  return `${kind ?? ''} ${name}`;
}

function listed(btf: Btf, id: TypeId): DiffedType {
  return { kind: namedKind(btf, id) as NamedKind, name: btf.nameOf(id), id };
}

/** A typedef of a struct or enum without a name is compared as that struct or enum. */
function bodyOf(btf: Btf, id: TypeId): TypeId {
  if (btf.kindOf(id) !== BTF_KIND.TYPEDEF) return id;
  const target = btf.sizeOrTypeOf(id) as TypeId;
  if (btf.nameOffsetOf(target) !== 0) return id;
  const type = btf.type(target);
  return hasMembers(type) || isEnum(type) ? target : id;
}

function hasMembers(type: BtfType): type is BtfComposite | BtfDataSection {
  return type.kind === 'struct' || type.kind === 'union' || type.kind === 'datasec';
}

function isEnum(type: BtfType): type is BtfEnum {
  return type.kind === 'enum' || type.kind === 'enum64';
}

/** Things of one name, first come, first served. */
class Queue<T> {
  readonly #items: T[] = [];
  #next = 0;

  add(item: T): void {
    this.#items.push(item);
  }

  take(): T | undefined {
    return this.#items[this.#next++];
  }
}

function queues<T>(items: readonly T[], name: (item: T) => string): ReadonlyMap<string, Queue<T>> {
  const queues = new Map<string, Queue<T>>();
  for (const item of items) {
    const key = name(item);
    let queue = queues.get(key);
    if (queue === undefined) {
      queue = new Queue();
      queues.set(key, queue);
    }
    queue.add(item);
  }
  return queues;
}

function compareSizes(a: { size: number }, b: { size: number }, out: BtfDetail[]): void {
  if (a.size !== b.size) out.push({ what: 'size', old: a.size, new: b.size });
}

function compareLinkage(a: { linkage: Linkage }, b: { linkage: Linkage }, out: BtfDetail[]): void {
  if (a.linkage !== b.linkage) out.push({ what: 'linkage', old: a.linkage, new: b.linkage });
}

function compareMember(a: FlatMember, b: FlatMember, out: BtfDetail[]): void {
  const moved = a.shown.bitOffset !== b.shown.bitOffset;
  const retyped = a.reference !== b.reference;
  const resized = a.shown.size !== b.shown.size || a.shown.bitSize !== b.shown.bitSize;
  if (!moved && !retyped && !resized) return;
  out.push({ what: 'member-changed', old: a.shown, new: b.shown, moved, retyped, resized });
}

function compareEnums(a: BtfEnum, b: BtfEnum, out: BtfDetail[]): void {
  compareSizes(a, b, out);
  if (a.signed !== b.signed) {
    out.push({ what: 'encoding', old: signWord(a.signed), new: signWord(b.signed) });
  }
  const byName = queues(a.values, (value) => value.name);
  const survivors = new Set<object>();
  const later: BtfDetail[] = [];
  for (const { name, value } of b.values) {
    const old = byName.get(name)?.take();
    if (old === undefined) {
      later.push({ what: 'enumerator-added', name, value });
      continue;
    }
    survivors.add(old);
    if (old.value !== value) {
      later.push({ what: 'enumerator-changed', name, old: old.value, new: value });
    }
  }
  for (const old of a.values) {
    if (!survivors.has(old)) out.push({ what: 'enumerator-removed', ...old });
  }
  // One by one: an enum may have more values than a call may have arguments.
  for (const detail of later) out.push(detail);
}

function signWord(signed: boolean): string {
  return signed ? 'signed' : 'unsigned';
}

function compareInts(a: BtfInt, b: BtfInt, out: BtfDetail[]): void {
  compareSizes(a, b, out);
  const before = encodingWords(a);
  const after = encodingWords(b);
  if (before !== after) out.push({ what: 'encoding', old: before, new: after });
}

function encodingWords(type: BtfInt): string {
  const words = [signWord(type.signed)];
  if (type.char) words.push('char');
  if (type.bool) words.push('bool');
  words.push(`${type.bits} bits`);
  if (type.bitOffset !== 0) words.push(`at bit ${type.bitOffset}`);
  return words.join(' ');
}

/** A parameter with the number of its type. */
interface ComparedParam {
  readonly param: DiffParam;
  readonly reference: number;
}

function paramsOf(
  shapes: Shapes,
  params: readonly { readonly name: string; readonly type: TypeId }[],
): readonly ComparedParam[] {
  return params.map(({ name, type }, index) => {
    const ellipsis = type === 0 && index === params.length - 1;
    const words = ellipsis ? '...' : typeToString(shapes.btf, type);
    return { param: { name, type: words }, reference: shapes.reference(type) };
  });
}

/** Sets aside what is equal at both ends, then compares by place. */
function compareParams(
  a: readonly ComparedParam[],
  b: readonly ComparedParam[],
  out: BtfDetail[],
): void {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && sameParam(a[start], b[start])) start++;
  let end = 0;
  while (end < shorter - start && sameParam(a[a.length - 1 - end], b[b.length - 1 - end])) end++;
  for (let index = start; index < Math.max(a.length, b.length) - end; index++) {
    const old = index < a.length - end ? a[index] : undefined;
    const now = index < b.length - end ? b[index] : undefined;
    if (old !== undefined && now !== undefined) {
      const retyped = old.reference !== now.reference;
      const both = { old: old.param, new: now.param };
      if (!sameParam(old, now)) out.push({ what: 'param-changed', index, ...both, retyped });
    } else if (old !== undefined) out.push({ what: 'param-removed', index, param: old.param });
    else if (now !== undefined) out.push({ what: 'param-added', index, param: now.param });
  }
}

function sameParam(a: ComparedParam | undefined, b: ComparedParam | undefined): boolean {
  return a?.reference === b?.reference && a?.param.name === b?.param.name;
}
