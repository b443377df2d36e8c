import { BpfError } from '../errors.ts';
import { resizeDataSection } from './resize.ts';
import type { DataSection, MapSpec, ObjectSpec, ProgramSpec, VariableSpec } from './spec.ts';

/** What of a map can be changed before loading; names, slots and contents have ways of their own. */
export type MapPatch = Partial<Omit<MapSpec, 'name' | 'kernelName' | 'data'>>;

/** What of a program can be changed before loading. */
export type ProgramPatch = Partial<
  Pick<ProgramSpec, 'type' | 'attachType' | 'attachTarget' | 'flags' | 'autoload'>
>;

/**
 * The specification with one map changed; the given one stays as it is. A data section's map
 * that gets another value size is cut or filled with zeros. Where its last variable is an
 * array, that grows or shrinks with it, in the types, too; else the map loses its type, which
 * no longer fits it (libbpf's `bpf_map__set_value_size`). {@link BpfError} `no-such-name`
 * where there is no such map.
 *
 * @example `editMap(spec, 'events', { maxEntries: 65536 })`
 */
export function editMap(spec: ObjectSpec, name: string, patch: MapPatch): ObjectSpec {
  const index = spec.maps.findIndex((map) => map.name === name);
  const map = spec.maps[index];
  if (map === undefined) throw noSuch('map', name, spec.maps);
  if (map.data === undefined || (patch.valueSize ?? map.valueSize) === map.valueSize) {
    return { ...spec, maps: spec.maps.with(index, { ...map, ...patch }) };
  }
  return resizeMap(spec, index, { ...map, ...patch }, map.data);
}

/** `map` already has its new value size. */
function resizeMap(spec: ObjectSpec, index: number, map: MapSpec, data: DataSection): ObjectSpec {
  const size = map.valueSize;
  const contents = new Uint8Array(size);
  contents.set(data.contents.subarray(0, size));
  const resized =
    spec.btf === undefined || map.valueType === undefined
      ? undefined
      : resizeDataSection(spec.btf, map.valueType, size);
  if (resized === undefined) {
    const untyped = { ...map, data: { ...data, contents }, valueType: undefined };
    return { ...spec, maps: spec.maps.with(index, untyped) };
  }
  const { btf, variable } = resized;
  const variables = data.variables.map((each) =>
    each.name === variable.name && each.offset === variable.offset
      ? { ...each, size: variable.size, type: variable.type }
      : each,
  );
  const typed = { ...map, data: { ...data, contents, variables } };
  return { ...spec, btf, maps: spec.maps.with(index, typed) };
}

/**
 * The specification with one program changed; the given one stays as it is.
 * {@link BpfError} `no-such-name` where there is no such program.
 *
 * @example `editProgram(spec, 'on_open', { autoload: false })`
 */
export function editProgram(spec: ObjectSpec, name: string, patch: ProgramPatch): ObjectSpec {
  const index = spec.programs.findIndex((program) => program.name === name);
  const program = spec.programs[index];
  if (program === undefined) throw noSuch('program', name, spec.programs);
  return { ...spec, programs: spec.programs.with(index, { ...program, ...patch }) };
}

/**
 * The specification with a second program of the same code, which can have another type,
 * target or flags; the given one stays as it is. {@link BpfError} `no-such-name` where there
 * is no such program, `name-taken` where there already is one of the new name.
 *
 * @example `cloneProgram(spec, 'on_probe', 'on_return', { attachTarget: 'do_exit' })`
 */
export function cloneProgram(
  spec: ObjectSpec,
  name: string,
  newName: string,
  patch: ProgramPatch = {},
): ObjectSpec {
  const index = spec.programs.findIndex((program) => program.name === name);
  const program = spec.programs[index];
  if (program === undefined) throw noSuch('program', name, spec.programs);
  if (newName === '' || spec.programs.some((other) => other.name === newName)) {
    throw new BpfError({ code: 'name-taken', what: 'program', name: newName });
  }
  const clone = { ...program, ...patch, name: newName };
  return { ...spec, programs: spec.programs.toSpliced(index + 1, 0, clone) };
}

/**
 * The specification with another initial value of one global variable; the given one stays
 * as it is. `value` has exactly the variable's size, in the object's byte order. A static
 * variable is taken only where no other variable has the name.
 *
 * @example `setVariable(spec, 'target_pid', Uint8Array.of(42, 0, 0, 0))`
 */
export function setVariable(spec: ObjectSpec, name: string, value: Uint8Array): ObjectSpec {
  const { map, data, variable } = findVariable(spec, name);
  if (value.length !== variable.size) {
    const { size } = variable;
    throw new BpfError({ code: 'variable-size', name, size, given: value.length });
  }
  const contents = data.contents.slice();
  contents.set(value, variable.offset);
  const patched = { ...map, data: { ...data, contents } };
  return { ...spec, maps: spec.maps.map((other) => (other === map ? patched : other)) };
}

/** A variable with the data section and the map that hold it. */
interface FoundVariable {
  readonly map: MapSpec;
  readonly data: DataSection;
  readonly variable: VariableSpec;
}

function findVariable(spec: ObjectSpec, name: string): FoundVariable {
  const found: FoundVariable[] = [];
  for (const map of spec.maps) {
    if (map.data === undefined) continue;
    for (const variable of map.data.variables) {
      if (variable.name === name) found.push({ map, data: map.data, variable });
    }
  }
  const visible = found.filter(({ variable }) => variable.binding !== 'local');
  const [first, ...others] = visible.length > 0 ? visible : found;
  if (first === undefined) {
    throw noSuch(
      'variable',
      name,
      spec.maps.flatMap((map) => map.data?.variables ?? []),
    );
  }
  if (others.length > 0) {
    const sections = found.map(({ data }) => data.section);
    throw new BpfError({ code: 'ambiguous-variable', name, sections });
  }
  return first;
}

function noSuch(
  what: 'map' | 'program' | 'variable',
  name: string,
  items: readonly { readonly name: string }[],
): BpfError {
  return new BpfError({ code: 'no-such-name', what, name, known: items.map((item) => item.name) });
}
