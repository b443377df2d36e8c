import { unreachable } from '../errors.ts';
import type { Btf } from './btf.ts';
import { type BtfFuncProto, type BtfType, type TypeId, voidId } from './types.ts';

/** References looked through before the rest becomes `…`. */
const depthLimit = 32;

/** Parameters of a function written out before the rest becomes `…`. */
const paramLimit = 12;

/**
 * Short C spelling of a type, for messages: `struct task_struct *`, `const char[16]`,
 * `int (*)(void *, ...)`. Type tags are left out. What is too deep, or goes in a circle,
 * ends in `…`.
 *
 * Names stand in it as they are in the BTF: escape the text before it is shown.
 */
export function typeToString(btf: Btf, id: TypeId): string {
  return spell(btf, id, depthLimit);
}

/**
 * C writes a type inside out: from the outermost type inwards, `declarator` collects what
 * stands around the (absent) name, `qualifiers` those of the next type.
 */
function spell(btf: Btf, id: TypeId, depth: number, nested = false): string {
  let at = id;
  let declarator = '';
  let qualifiers = '';
  for (let left = depth; left > 0; left--) {
    const type = btf.type(at);
    switch (type.kind) {
      case 'ptr':
        declarator = `*${joined(qualifiers.trimEnd(), declarator)}`;
        qualifiers = '';
        at = type.target;
        break;
      case 'const':
      case 'volatile':
      case 'restrict':
        if (!qualifiers.includes(type.kind)) qualifiers += `${type.kind} `;
        at = type.target;
        break;
      case 'type-tag':
        at = type.target;
        break;
      case 'array':
        declarator = `${grouped(declarator)}[${type.length === 0 ? '' : type.length}]`;
        at = type.element;
        break;
      case 'func-proto':
        declarator = `${grouped(declarator)}(${nested ? '…' : params(btf, type)})`;
        qualifiers = '';
        at = type.returns;
        break;
      default:
        return joined(`${qualifiers}${baseName(btf, type, left)}`, declarator);
    }
  }
  return joined('…', declarator);
}

/** A pointer to an array or function needs parentheses: `(*)[4]`. */
function grouped(declarator: string): string {
  return declarator.startsWith('*') ? `(${declarator})` : declarator;
}

function joined(before: string, declarator: string): string {
  const space = before === '' || declarator === '' || declarator.startsWith('[') ? '' : ' ';
  return before + space + declarator;
}

function params(btf: Btf, proto: BtfFuncProto): string {
  if (proto.params.length === 0) return 'void';
  const last = proto.params.length - 1;
  const written = proto.params.slice(0, paramLimit).map((param, index) =>
    // A last parameter without type and name is C's ellipsis.
    index === last && param.type === voidId && param.name === ''
      ? '...'
      : spell(btf, param.type, depthLimit, true),
  );
  if (proto.params.length > paramLimit) written.push('…');
  return written.join(', ');
}

/** Spelling of what is not made of another type; `…` for the rest, where {@link spell} stopped. */
function baseName(btf: Btf, type: BtfType, depth: number): string {
  switch (type.kind) {
    case 'void':
      return 'void';
    case 'int':
    case 'float':
    case 'typedef':
      return type.name;
    case 'struct':
    case 'union':
    case 'func':
    case 'datasec':
      return tagged(type.kind, type.name);
    case 'fwd':
      return tagged(type.of, type.name);
    case 'enum':
    case 'enum64':
      return tagged('enum', type.name);
    case 'var':
      return `${spell(btf, type.type, depth - 1, true)} ${type.name}`;
    case 'decl-tag':
      return spell(btf, type.target, depth - 1, true);
    case 'unknown':
      return tagged(`kind-${type.number}`, type.name);
    case 'ptr':
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type-tag':
    case 'array':
    case 'func-proto':
      return '…';
    default:
      return unreachable(type, 'BTF kind');
  }
}

function tagged(word: string, name: string): string {
  return `${word} ${name === '' ? '{…}' : name}`;
}
