import type { Btf } from '../btf/btf.ts';
import { alignOf, resolveType, sizeOf, typeToString } from '../btf/graph.ts';
import type { TypeId } from '../btf/types.ts';
import { BpfError, describe } from '../errors.ts';
import type { KconfigPlace } from './spec.ts';

/** What the type of a kconfig value says. */
export interface KconfigShape extends Pick<KconfigPlace, 'size' | 'form' | 'signed'> {
  /** In bytes. */
  readonly alignment: number;
}

/**
 * The shape of the kconfig value `name` of type `id` (libbpf's `find_kcfg_type`).
 * {@link BpfError} `extern-declaration` for a type that no value of a kernel configuration
 * can have.
 */
export function kconfigShape(btf: Btf, name: string, id: TypeId | undefined): KconfigShape {
  const type = id ?? (0 as TypeId);
  const { size, alignment } = measure(btf, name, type);
  const form = formOf(btf, type);
  if (form === undefined) {
    const is = typeToString(btf, type);
    throw new BpfError({
      code: 'extern-declaration',
      name,
      fault: { kind: 'kconfig-type', is },
    });
  }
  return { size, alignment, ...form };
}

function measure(btf: Btf, name: string, type: TypeId): { size: number; alignment: number } {
  try {
    return { size: sizeOf(btf, type), alignment: Math.max(1, alignOf(btf, type)) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const is = typeToString(btf, type);
    const reason = describe(error.detail);
    throw new BpfError(
      { code: 'extern-declaration', name, fault: { kind: 'kconfig-size', is, reason } },
      { cause: error },
    );
  }
}

type KconfigForm = Pick<KconfigPlace, 'form' | 'signed'>;

function formOf(btf: Btf, id: TypeId): KconfigForm | undefined {
  const type = btf.type(resolveType(btf, id));
  switch (type.kind) {
    case 'int':
      return integerForm(type.size, type.signed, type.bool);
    case 'enum':
    case 'enum64':
      if (type.name !== 'libbpf_tristate' || (type.kind === 'enum' && type.size !== 4)) {
        return undefined;
      }
      return { form: 'tristate', signed: false };
    case 'array': {
      const isText = type.length > 0 && formOfElement(btf, type.element) === 'char';
      return isText ? { form: 'char-array', signed: false } : undefined;
    }
    default:
      return undefined;
  }
}

/** Not by way of {@link formOf}: arrays of arrays are no text. */
function formOfElement(btf: Btf, id: TypeId): KconfigPlace['form'] | undefined {
  const type = btf.type(resolveType(btf, id));
  if (type.kind !== 'int') return undefined;
  return integerForm(type.size, type.signed, type.bool)?.form;
}

function integerForm(size: number, signed: boolean, bool: boolean): KconfigForm | undefined {
  if (bool) return size === 1 ? { form: 'bool', signed: false } : undefined;
  if (size === 1) return { form: 'char', signed };
  return size === 2 || size === 4 || size === 8 ? { form: 'int', signed } : undefined;
}

/** Values one after another, each at a multiple of its alignment. */
export function layOutKconfig(values: readonly KconfigShape[]): {
  readonly offsets: readonly number[];
  /** In bytes. */
  readonly size: number;
} {
  let end = 0;
  const offsets = values.map(({ size, alignment }) => {
    const offset = Math.ceil(end / alignment) * alignment;
    end = offset + size;
    return offset;
  });
  return { offsets, size: end };
}
