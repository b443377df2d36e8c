import { BpfError } from '../errors.ts';
import type { Btf } from './btf.ts';
import { childIds } from './children.ts';
import { BTF_KIND, type TypeId } from './types.ts';

export { typeToString } from './spelling.ts';
export { childIds };

/**
 * References that may follow one another without a struct in between. libbpf and the kernel
 * stop at 32; the limit also ends circles, and keeps what walks all types linear.
 */
export const chainLimit = 256;

/** Sizes and lengths in BTF have 32 bits. */
const sizeLimit = 2 ** 32;

/**
 * A name without its CO-RE flavour: what comes before the last `___` that has a character
 * other than `_` on both sides. The rule of libbpf's `bpf_core_essential_name_len`.
 *
 * @example `essentialName('task_struct___old')` is `'task_struct'`.
 */
export function essentialName(name: string): string {
  return /^(.*[^_])___[^_]/s.exec(name)?.[1] ?? name;
}

/**
 * The type behind typedefs, `const`, `volatile`, `restrict` and type tags (libbpf's
 * `skip_mods_and_typedefs`). {@link BpfError} `btf-reference-chain` for more than
 * {@link chainLimit} of them, which includes those in a circle.
 */
export function resolveType(btf: Btf, id: TypeId): TypeId {
  return follow(btf, id, (kind) => kind === BTF_KIND.TYPEDEF || isModifier(kind));
}

/** As {@link resolveType}, but stops at a typedef. */
export function skipModifiers(btf: Btf, id: TypeId): TypeId {
  return follow(btf, id, isModifier);
}

function isModifier(kind: number): boolean {
  return (
    kind === BTF_KIND.CONST ||
    kind === BTF_KIND.VOLATILE ||
    kind === BTF_KIND.RESTRICT ||
    kind === BTF_KIND.TYPE_TAG
  );
}

function follow(btf: Btf, id: TypeId, skip: (kind: number) => boolean): TypeId {
  let at = id;
  for (let steps = 0; skip(btf.kindOf(at)); steps++) {
    if (steps === chainLimit) throw tooLong(btf, id);
    at = btf.sizeOrTypeOf(at) as TypeId;
  }
  return at;
}

function tooLong(btf: Btf, id: TypeId): BpfError {
  const name = btf.nameOf(id);
  return new BpfError({
    code: 'btf-reference-chain',
    btf: btf.name,
    id,
    name,
    limit: chainLimit,
  });
}

/**
 * Bytes of a value of the type, as libbpf's `btf__resolve_size`: looks through typedefs,
 * modifiers, variables and tags, and multiplies arrays. {@link BpfError} for what has no
 * size (`void`, functions, forward declarations), for 4 GiB and more, and for circles.
 */
export function sizeOf(btf: Btf, id: TypeId): number {
  let at = id;
  let count = 1;
  for (let steps = 0; steps <= chainLimit; steps++) {
    const own = ownSize(btf, at);
    if (own !== undefined) return checkedProduct(btf, id, count, own);
    const type = btf.type(at);
    if (type.kind === 'array') {
      count = checkedProduct(btf, id, count, type.length);
      at = type.element;
    } else {
      at = nextForSize(btf, at);
    }
  }
  throw tooLong(btf, id);
}

/** The size of kinds that state it, and of pointers. */
function ownSize(btf: Btf, id: TypeId): number | undefined {
  switch (btf.kindOf(id)) {
    case BTF_KIND.INT:
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
    case BTF_KIND.ENUM:
    case BTF_KIND.ENUM64:
    case BTF_KIND.DATASEC:
    case BTF_KIND.FLOAT:
      return btf.sizeOrTypeOf(id);
    case BTF_KIND.PTR:
      return btf.pointerSize;
    default:
      return undefined;
  }
}

function nextForSize(btf: Btf, id: TypeId): TypeId {
  const type = btf.type(id);
  switch (type.kind) {
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type-tag':
    case 'decl-tag':
      return type.target;
    case 'var':
      return type.type;
    default:
      throw noSize(btf, id);
  }
}

function checkedProduct(btf: Btf, id: TypeId, a: number, b: number): number {
  const product = a * b;
  if (product < sizeLimit) return product;
  throw new BpfError({ code: 'btf-too-large', btf: btf.name, id, name: btf.nameOf(id) });
}

function noSize(btf: Btf, id: TypeId): BpfError {
  const { kind } = btf.type(id);
  return new BpfError({ code: 'btf-no-size', btf: btf.name, id, kind, name: btf.nameOf(id) });
}

/** Alignments of structs and unions found so far. */
const knownAlignments = new WeakMap<Btf, Map<TypeId, number>>();

/**
 * Alignment in bytes of a value of the type, as libbpf's `btf__align_of`: that of the
 * strictest member, or 1 for a struct whose offsets or size show that it is packed.
 * Errors as {@link sizeOf}; a struct that contains itself is found.
 *
 * Works with a stack of its own, and keeps the results: neither deep nesting nor structs
 * that share members again and again cost more than their number.
 */
export function alignOf(btf: Btf, id: TypeId): number {
  const root = alignedType(btf, id);
  const simple = simpleAlignment(btf, root);
  if (simple !== undefined) return simple;
  let known = knownAlignments.get(btf);
  if (known === undefined) {
    known = new Map();
    knownAlignments.set(btf, known);
  }
  const stack: CompositeFrame[] = [];
  const open = new Set<TypeId>();
  let done = known.get(root);
  if (done === undefined) enter(btf, root, stack, open);
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const inner = advance(btf, frame, known);
    if (inner !== undefined) {
      enter(btf, inner, stack, open);
      continue;
    }
    stack.pop();
    open.delete(frame.id);
    known.set(frame.id, frame.alignment);
    done = frame.alignment;
  }
  return done as number;
}

/** A struct or union whose members are being looked at. */
interface CompositeFrame {
  readonly id: TypeId;
  readonly size: number;
  readonly members: readonly {
    readonly type: TypeId;
    readonly bitOffset: number;
    readonly bitSize: number;
  }[];
  next: number;
  /** Of the members before `next`. */
  alignment: number;
}

function enter(btf: Btf, id: TypeId, stack: CompositeFrame[], open: Set<TypeId>): void {
  const type = btf.type(id);
  if (type.kind !== 'struct' && type.kind !== 'union') throw noSize(btf, id);
  if (open.has(id)) {
    throw new BpfError({ code: 'btf-contains-itself', btf: btf.name, id, name: type.name });
  }
  open.add(id);
  stack.push({ id, size: type.size, members: type.members, next: 0, alignment: 1 });
}

/** Goes through members until the frame's alignment is final (undefined) or one is needed first. */
function advance(
  btf: Btf,
  frame: CompositeFrame,
  known: ReadonlyMap<TypeId, number>,
): TypeId | undefined {
  while (frame.next < frame.members.length) {
    const member = frame.members[frame.next] as CompositeFrame['members'][number];
    const type = alignedType(btf, member.type);
    const alignment = simpleAlignment(btf, type) ?? known.get(type);
    if (alignment === undefined) return type;
    frame.next++;
    if (member.bitSize === 0 && member.bitOffset % (8 * alignment) !== 0) return packed(frame);
    frame.alignment = Math.max(frame.alignment, alignment);
  }
  if (frame.size % frame.alignment !== 0) return packed(frame);
  return undefined;
}

function packed(frame: CompositeFrame): undefined {
  frame.alignment = 1;
}

/** The type that decides the alignment: elements of arrays, behind typedefs and modifiers. */
function alignedType(btf: Btf, id: TypeId): TypeId {
  let at = id;
  for (let steps = 0; steps <= chainLimit; steps++) {
    const kind = btf.kindOf(at);
    if (kind === BTF_KIND.ARRAY) at = childIds(btf.type(at))[0] as TypeId;
    else if (kind === BTF_KIND.TYPEDEF || isModifier(kind)) at = btf.sizeOrTypeOf(at) as TypeId;
    else return at;
  }
  throw tooLong(btf, id);
}

/** Alignment of everything but structs and unions, for which undefined. */
function simpleAlignment(btf: Btf, id: TypeId): number | undefined {
  switch (btf.kindOf(id)) {
    case BTF_KIND.INT:
    case BTF_KIND.ENUM:
    case BTF_KIND.ENUM64:
    case BTF_KIND.FLOAT:
      return Math.min(btf.pointerSize, btf.sizeOrTypeOf(id));
    case BTF_KIND.PTR:
      return btf.pointerSize;
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
      return undefined;
    default:
      throw noSize(btf, id);
  }
}
