import { quoteJson } from '../bytes/json-string.ts';

/**
 * What commands print as JSON. 64-bit integers are `bigint` and printed as integers, exact,
 * as bpftool does. Names from objects are keys of a `Map`, never of a plain object.
 */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | ReadonlyMap<string, Json>
  | { readonly [key: string]: Json | undefined };

/** JSON text: one line for `indent` 0, else indented. `undefined` members are left out. */
export function toJson(value: Json, indent = 0): string {
  const out: string[] = [];
  write(value, indent, 0, out);
  return out.join('');
}

function write(value: Json, indent: number, depth: number, out: string[]): void {
  if (typeof value === 'string') out.push(quoteJson(value));
  else if (typeof value === 'number') out.push(Number.isFinite(value) ? String(value) : 'null');
  else if (value === null || typeof value !== 'object') out.push(String(value));
  else if (Array.isArray(value)) writeList(value, indent, depth, out);
  else writeObject(entriesOf(value as ReadonlyMap<string, Json>), indent, depth, out);
}

function entriesOf(
  value: ReadonlyMap<string, Json> | { readonly [key: string]: Json | undefined },
): (readonly [string, Json])[] {
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return entries.filter((entry) => entry[1] !== undefined) as (readonly [string, Json])[];
}

function writeList(list: readonly Json[], indent: number, depth: number, out: string[]): void {
  if (list.length === 0) {
    out.push('[]');
    return;
  }
  out.push('[');
  list.forEach((item, index) => {
    if (index > 0) out.push(',');
    out.push(lineBreak(indent, depth + 1));
    write(item, indent, depth + 1, out);
  });
  out.push(lineBreak(indent, depth), ']');
}

function writeObject(
  entries: readonly (readonly [string, Json])[],
  indent: number,
  depth: number,
  out: string[],
): void {
  if (entries.length === 0) {
    out.push('{}');
    return;
  }
  out.push('{');
  entries.forEach(([key, item], index) => {
    if (index > 0) out.push(',');
    out.push(lineBreak(indent, depth + 1), quoteJson(key), indent > 0 ? ': ' : ':');
    write(item, indent, depth + 1, out);
  });
  out.push(lineBreak(indent, depth), '}');
}

function lineBreak(indent: number, depth: number): string {
  return indent > 0 ? `\n${' '.repeat(indent * depth)}` : '';
}
