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
  'object-closed': () => 'the object was closed',
};

function list(names: readonly string[]): string {
  return names.map(escapeName).join(', ') || 'none';
}
