import type { Btf } from '../btf/btf.ts';
import type { DataSectionFix } from '../btf/datasec.ts';
import { resolveType } from '../btf/graph.ts';
import { BTF_KIND, type TypeId, voidId } from '../btf/types.ts';
import { encodeText } from '../bytes/text.ts';
import { SHN, STT } from '../elf/constants.ts';
import type { ElfFile } from '../elf/elf.ts';
import type { ExternFault } from '../errors/object.ts';
import { BpfError } from '../errors.ts';
import { type KconfigShape, kconfigShape, layOutKconfig } from './kconfig.ts';
import type { ExternSpec, MapIndex } from './spec.ts';
import { dataSectionOf, type ObjectTypes } from './variables.ts';

/** The `extern` declarations of an object. */
export interface Externs {
  readonly specs: readonly ExternSpec[];
  /** Index into `specs` by index of the undefined symbol. */
  readonly bySymbol: ReadonlyMap<number, number>;
  /** Where the values of `.kconfig` are in its DATASEC; undefined where there are none. */
  readonly kconfig: DataSectionFix | undefined;
}

/**
 * Collects what the object declares but does not define: undefined symbols that the types
 * place in `.kconfig` or `.ksyms` (libbpf's `bpf_object__collect_externs`). In its order:
 * kconfig values first, by alignment (greatest first), size and name, as they are laid out;
 * then kernel symbols by name. `kconfigMap` is the index that the map of the values will have.
 */
export function readExterns(
  elf: ElfFile,
  types: ObjectTypes | undefined,
  kconfigMap: MapIndex,
): Externs {
  const found = findExterns(elf, types);
  if (found.length === 0) return nothing;
  found.sort(compareExterns);
  const values = found.flatMap(({ shape }) => shape ?? []);
  const layout = layOutKconfig(values);
  const specs = found.map((extern, index): ExternSpec => {
    const { name, kind, weak, type, shape } = extern;
    if (shape === undefined) return { name, kind, weak, type };
    const { size, form, signed } = shape;
    const offset = layout.offsets[index] ?? 0;
    return { name, kind, weak, type, kconfig: { map: kconfigMap, offset, size, form, signed } };
  });
  return {
    specs,
    bySymbol: new Map(found.map(({ symbol }, index) => [symbol, index])),
    kconfig: values.length === 0 ? undefined : describeLayout(types, specs, layout.size),
  };
}

const nothing: Externs = { specs: [], bySymbol: new Map(), kconfig: undefined };

/** An extern before its place is known. */
interface FoundExtern extends Pick<ExternSpec, 'name' | 'kind' | 'weak' | 'type'> {
  readonly symbol: number;
  readonly sortName: Uint8Array;
  /** Of a kconfig value. */
  readonly shape: KconfigShape | undefined;
}

function findExterns(elf: ElfFile, types: ObjectTypes | undefined): FoundExtern[] {
  const { symbols } = elf;
  const found: FoundExtern[] = [];
  let declared: ReadonlyMap<string, Declaration> | undefined;
  for (let i = 1; i < symbols.length; i++) {
    if (!isExtern(elf, i)) continue;
    const name = symbols.name(i);
    if (name === '') continue;
    declared ??= findDeclarations(types);
    const declaration = declared.get(name);
    if (declaration === undefined || types === undefined) throw undeclared(name, types?.btf);
    const { kind, type } = declaration;
    found.push({
      name,
      kind,
      type,
      weak: symbols.binding(i) === 'weak',
      symbol: i,
      sortName: encodeText(name),
      shape: kind === 'kconfig' ? kconfigShape(types.btf, name, declaration.type) : undefined,
    });
  }
  return found;
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
  if (kind === BTF_KIND.FUNC) {
    if (isKconfig) throw bad(btf.nameOf(id), { kind: 'kconfig-function' });
    return { kind: 'kfunc', type: id };
  }
  if (kind !== BTF_KIND.VAR) return undefined;
  const type = btf.sizeOrTypeOf(id) as TypeId;
  if (isKconfig) return { kind: 'kconfig', type };
  return { kind: 'ksym', type: resolveType(btf, type) === voidId ? undefined : type };
}

/** libbpf's `cmp_externs`; names are compared as bytes. */
function compareExterns(a: FoundExtern, b: FoundExtern): number {
  if (a.shape === undefined || b.shape === undefined) {
    if (a.shape !== b.shape) return a.shape === undefined ? 1 : -1;
  } else {
    const byPlace = b.shape.alignment - a.shape.alignment || a.shape.size - b.shape.size;
    if (byPlace !== 0) return byPlace;
  }
  return compareBytes(a.sortName, b.sortName);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Every value that `.kconfig` declares must have a place, or the DATASEC would be unsound. */
function describeLayout(
  types: ObjectTypes | undefined,
  specs: readonly ExternSpec[],
  size: number,
): DataSectionFix | undefined {
  const type = types?.dataSections.get('.kconfig');
  if (types === undefined || type === undefined) return undefined;
  const places = new Map(specs.map(({ name, kconfig }) => [name, kconfig?.offset]));
  const offsets = new Map<number, number>();
  dataSectionOf(types.btf, type).vars.forEach((entry, index) => {
    const name = types.btf.nameOf(entry.type);
    const offset = places.get(name);
    if (offset === undefined) throw bad(name, { kind: 'kconfig-unused' });
    offsets.set(index, offset);
  });
  return { id: type, size, offsets };
}

function undeclared(name: string, btf: Btf | undefined): BpfError {
  const known =
    btf !== undefined &&
    (btf.find(name, BTF_KIND.FUNC) ?? btf.find(name, BTF_KIND.VAR)) !== undefined;
  return bad(name, { kind: known ? 'no-section' : 'no-type' });
}

function bad(name: string, fault: ExternFault): BpfError {
  return new BpfError({ code: 'extern-declaration', name, fault });
}
