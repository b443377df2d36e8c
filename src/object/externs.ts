import type { Btf } from '../btf/btf.ts';
import { BTF_KIND, type TypeId } from '../btf/types.ts';
import { SHN, STT } from '../elf/constants.ts';
import type { ElfFile } from '../elf/elf.ts';
import { BpfError } from '../errors.ts';
import type { ExternSpec } from './spec.ts';
import { dataSectionOf, type ObjectTypes } from './variables.ts';

/** The `extern` declarations of an object. */
export interface Externs {
  readonly specs: readonly ExternSpec[];
  /** Index into `specs` by index of the undefined symbol. */
  readonly bySymbol: ReadonlyMap<number, number>;
}

/**
 * Collects what the object declares but does not define, in symbol order: undefined symbols
 * that the types place in `.ksyms` (kernel functions and variables) or `.kconfig` (libbpf's
 * `bpf_object__collect_externs`). One without such a declaration is an error.
 */
export function readExterns(elf: ElfFile, types: ObjectTypes | undefined): Externs {
  const { symbols } = elf;
  const specs: ExternSpec[] = [];
  const bySymbol = new Map<number, number>();
  let declared: ReadonlyMap<string, Declaration> | undefined;
  for (let i = 1; i < symbols.length; i++) {
    if (!isExtern(elf, i)) continue;
    declared ??= findDeclarations(types);
    const name = symbols.name(i);
    const declaration = declared.get(name);
    if (declaration === undefined) throw undeclared(name, types?.btf);
    bySymbol.set(i, specs.length);
    specs.push({ name, weak: symbols.binding(i) === 'weak', ...declaration });
  }
  return { specs, bySymbol };
}

function isExtern(elf: ElfFile, symbol: number): boolean {
  const { symbols } = elf;
  return (
    symbols.section(symbol) === SHN.UNDEF &&
    symbols.type(symbol) === STT.NOTYPE &&
    symbols.binding(symbol) !== 'local'
  );
}

type Declaration = Pick<ExternSpec, 'kind' | 'type'>;

function findDeclarations(types: ObjectTypes | undefined): ReadonlyMap<string, Declaration> {
  const found = new Map<string, Declaration>();
  if (types === undefined) return found;
  const { btf, dataSections } = types;
  for (const name of ['.kconfig', '.ksyms']) {
    const id = dataSections.get(name);
    if (id === undefined) continue;
    for (const entry of dataSectionOf(btf, id).vars) {
      const declaration = declarationOf(btf, entry.type, name === '.kconfig');
      if (declaration !== undefined) found.set(btf.nameOf(entry.type), declaration);
    }
  }
  return found;
}

/** Functions keep the id of their FUNC, which has the linkage and the prototype. */
function declarationOf(btf: Btf, id: TypeId, isKconfig: boolean): Declaration | undefined {
  const kind = btf.kindOf(id);
  if (kind === BTF_KIND.FUNC && !isKconfig) return { kind: 'kfunc', type: id };
  if (kind !== BTF_KIND.VAR) return undefined;
  return { kind: isKconfig ? 'kconfig' : 'ksym', type: btf.sizeOrTypeOf(id) as TypeId };
}

function undeclared(name: string, btf: Btf | undefined): BpfError {
  const known =
    btf !== undefined &&
    (btf.find(name, BTF_KIND.FUNC) ?? btf.find(name, BTF_KIND.VAR)) !== undefined;
  return new BpfError({
    code: 'extern-undeclared',
    name,
    fault: known ? 'no-section' : 'no-type',
  });
}
