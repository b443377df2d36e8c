import { unreachable } from '../errors.ts';
import type { BtfType, TypeId } from './types.ts';

/**
 * The ids that a type refers to, in the order in which they are stored, with repetitions
 * and with 0 for `void`; none for a kind that only the layout section knows.
 */
export function childIds(type: BtfType): readonly TypeId[] {
  switch (type.kind) {
    case 'void':
    case 'int':
    case 'float':
    case 'fwd':
    case 'enum':
    case 'enum64':
    case 'unknown':
      return [];
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type-tag':
    case 'decl-tag':
      return [type.target];
    case 'array':
      return [type.element, type.index];
    case 'struct':
    case 'union':
      return type.members.map((member) => member.type);
    case 'func':
      return [type.proto];
    case 'func-proto':
      return [type.returns, ...type.params.map((param) => param.type)];
    case 'var':
      return [type.type];
    case 'datasec':
      return type.vars.map((variable) => variable.type);
    default:
      return unreachable(type, 'BTF kind');
  }
}
