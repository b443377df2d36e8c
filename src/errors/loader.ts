import { escapeName, quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of loading an object into a backend. */
export type LoaderErrorDetail =
  /** `max_entries` is 0 and no kernel takes that for this type of map. */
  | { readonly code: 'map-without-size'; readonly map: string }
  | { readonly code: 'no-such-map'; readonly name: string; readonly have: readonly string[] }
  | { readonly code: 'no-such-variable'; readonly name: string; readonly have: readonly string[] }
  /** A program that the object has, but that was not loaded. */
  | { readonly code: 'program-not-loaded'; readonly name: string }
  /** A static value of a map names a program that was not loaded, or no program at all. */
  | {
      readonly code: 'slot-without-program';
      readonly map: string;
      readonly index: number;
      readonly function: string;
    }
  /** A static value of a map of maps names a map that the object does not have. */
  | { readonly code: 'slot-without-map'; readonly map: string; readonly index: number }
  /** A map of that path exists, but is another kind of map than the object defines. */
  | {
      readonly code: 'pinned-map-differs';
      readonly map: string;
      readonly path: string;
      /** Both definitions, property by property. */
      readonly rows: readonly {
        readonly what: string;
        readonly wanted: string;
        readonly found: string;
      }[];
    }
  /** A map that was given is another kind of map than the object defines. */
  | {
      readonly code: 'given-map-differs';
      readonly map: string;
      readonly given: string;
      readonly rows: readonly {
        readonly what: string;
        readonly wanted: string;
        readonly found: string;
      }[];
    }
  /** A map asks for pinning under a name that cannot be a file's. */
  | { readonly code: 'pin-name'; readonly map: string }
  /** A map that is not a struct of callbacks was to be registered as one. */
  | { readonly code: 'no-struct-ops'; readonly map: string }
  /** A map that the object has, but that was not to be made. */
  | { readonly code: 'map-not-created'; readonly name: string }
  | { readonly code: 'object-closed' };

export const loaderWords: Words<LoaderErrorDetail> = {
  'map-without-size': (d) => `${quoteName(d.map)} has max_entries 0; set its size before loading`,
  'no-such-map': (d) => `the object has no map ${quoteName(d.name)}; it has ${list(d.have)}`,
  'no-such-variable': (d) =>
    `the object has no global variable ${quoteName(d.name)}; it has ${list(d.have)}`,
  'program-not-loaded': (d) =>
    `program ${quoteName(d.name)} was not loaded; it needs autoload to be on`,
  'slot-without-program': (d) =>
    `slot ${d.index} of map ${quoteName(d.map)} wants program ${quoteName(d.function)}, which was not loaded`,
  'slot-without-map': (d) =>
    `slot ${d.index} of map ${quoteName(d.map)} wants a map that the object does not have`,
  'pinned-map-differs': (d) =>
    `the map at ${quoteName(d.path)} is not one like ${quoteName(d.map)}; change the definition, or remove what is there:${table(d.rows, 'pinned')}`,
  'given-map-differs': (d) =>
    `the map ${quoteName(d.given)} that was given for ${quoteName(d.map)} is not one like it:${table(d.rows, 'given')}`,
  'pin-name': (d) =>
    `map ${quoteName(d.map)} cannot be pinned under its name, which is no plain file name`,
  'no-struct-ops': (d) => `map ${quoteName(d.map)} is no struct of callbacks (struct_ops)`,
  'map-not-created': (d) => `map ${quoteName(d.name)} was not made; it needs autocreate to be on`,
  'object-closed': () => 'the object was closed',
};

/** Two columns, the rows that differ marked. */
function table(
  rows: Extract<LoaderErrorDetail, { readonly code: 'pinned-map-differs' }>['rows'],
  found: 'pinned' | 'given',
): string {
  const line = (what: string, wanted: string, is: string, mark: string): string =>
    `\n  ${what.padEnd(12)}${wanted.padEnd(20)}${is}${mark}`;
  const body = rows.map((row) =>
    line(row.what, row.wanted, row.found, row.wanted === row.found ? '' : '  (differs)'),
  );
  return line('', 'object', found, '') + body.join('');
}

function list(names: readonly string[]): string {
  return names.map(escapeName).join(', ') || 'none';
}
