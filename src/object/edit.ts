import { BpfError } from '../errors.ts';
import type { DataSection, MapSpec, ObjectSpec, ProgramSpec, VariableSpec } from './spec.ts';

/** What of a map can be changed before loading; names, slots and contents have ways of their own. */
export type MapPatch = Partial<Omit<MapSpec, 'name' | 'kernelName' | 'data'>>;

/** What of a program can be changed before loading. */
export type ProgramPatch = Partial<
  Pick<ProgramSpec, 'type' | 'attachType' | 'attachTarget' | 'flags' | 'autoload'>
>;

/**
 * The specification with one map changed; the given one stays as it is. A data section's map
 * that gets another value size is cut or filled with zeros, and loses its type, which no
 * longer fits it. {@link BpfError} `no-such-name` where there is no such map.
 *
 * @example `editMap(spec, 'events', { maxEntries: 65536 })`
 */
export function editMap(spec: ObjectSpec, name: string, patch: MapPatch): ObjectSpec {
  const index = spec.maps.findIndex((map) => map.name === name);
  const map = spec.maps[index];
  if (map === undefined) throw noSuch('map', name, spec.maps);
  return { ...spec, maps: spec.maps.with(index, patchMap(map, patch)) };
}

function patchMap(map: MapSpec, patch: MapPatch): MapSpec {
  const patched = { ...map, ...patch };
  if (map.data === undefined || patched.valueSize === map.valueSize) return patched;
  const contents = new Uint8Array(patched.valueSize);
  contents.set(map.data.contents.subarray(0, patched.valueSize));
  const data = { ...map.data, contents };
  return { ...patched, data, valueType: patch.valueType };
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
