// Reads the imports of source files and finds what breaks the rules. Pure: files come in
// as text, so the checker itself is tested on small made-up trees.
import { posix } from 'node:path';
import { allowedRooms, generated, maxLines, narrowed, outsidePackages } from './rules.ts';

/** A source file: path below src (`elf/read.ts`) and text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly from: string;
  /** Path below src, or a package's name. */
  readonly to: string;
  readonly inside: boolean;
  readonly typeOnly: boolean;
}

const statement = /^(?:import|export)\s+(type\s+)?(?:([\w*$\s{},]+?)\s+from\s+)?['"]([^'"]+)['"]/gm;
const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** `{ type A, type B }`: every name is imported as a type. */
function onlyTypes(clause: string | undefined): boolean {
  const names = /^\{([\s\S]*)\}$/.exec(clause?.trim() ?? '')?.[1];
  if (names === undefined) return false;
  const parts = names.split(',').filter((part) => part.trim() !== '');
  return parts.length > 0 && parts.every((part) => part.trim().startsWith('type '));
}

function importsOf(file: SourceFile): readonly Import[] {
  const make = (specifier: string, typeOnly: boolean): Import => {
    const inside = specifier.startsWith('.');
    const to = inside ? posix.join(posix.dirname(file.path), specifier) : specifier;
    return { from: file.path, to, inside, typeOnly };
  };
  return [
    ...[...file.text.matchAll(statement)].map(([, type, clause, specifier]) =>
      make(specifier ?? '', type !== undefined || onlyTypes(clause)),
    ),
    ...[...file.text.matchAll(dynamic)].map(([, specifier]) => make(specifier ?? '', false)),
  ];
}

/** First folder of a path, or the file's own name at the top: `errors.ts` is room `errors`. */
export function roomOf(path: string): string {
  return path.split('/')[0]?.replace(/\.(d\.)?ts$/, '') ?? '';
}

function edgeProblem(edge: Import): string | undefined {
  const [from, to] = [roomOf(edge.from), roomOf(edge.to)];
  if (from === to) return undefined;
  const allowed = allowedRooms[from];
  if (allowed === undefined) return `${edge.from}: room ${from} is not in the module map`;
  if (!allowed.includes(to)) return `${edge.from} imports ${edge.to}: ${from} may not import ${to}`;
  const rule = narrowed.find((row) => row.room === to && row.from.includes(from));
  if (rule !== undefined && !rule.files.includes(edge.to)) {
    return `${edge.from} imports ${edge.to}: of ${to}, only ${rule.files.join(' and ')}`;
  }
  return undefined;
}

function packageProblem(edge: Import): string | undefined {
  const name = edge.to.startsWith('node:') ? 'node:' : edge.to;
  const places = outsidePackages[name];
  if (places === undefined) return `${edge.from} imports ${edge.to}: not a dependency of ours`;
  if (places.some((place) => edge.from.startsWith(place))) return undefined;
  return `${edge.from} imports ${edge.to}: allowed only in ${places.join(', ')}`;
}

/** The edges that make up load order; a type import inside a room is none. */
function orderEdges(imports: readonly Import[]): ReadonlyMap<string, readonly string[]> {
  const edges = new Map<string, string[]>();
  for (const edge of imports) {
    if (!edge.inside || (edge.typeOnly && roomOf(edge.from) === roomOf(edge.to))) continue;
    const list = edges.get(edge.from);
    if (list === undefined) edges.set(edge.from, [edge.to]);
    else list.push(edge.to);
  }
  return edges;
}

function cycles(imports: readonly Import[]): readonly string[] {
  const edges = orderEdges(imports);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      found.push(`cycle: ${[...trail.slice(at), path].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

function lengthProblem(file: SourceFile): string | undefined {
  if (generated.some((prefix) => file.path.startsWith(prefix))) return undefined;
  const lines = file.text.split('\n').length - 1;
  return lines > maxLines ? `${file.path} has ${lines} lines, more than ${maxLines}` : undefined;
}

/** One sentence for everything that breaks the module map; empty where all is well. */
export function architectureProblems(files: readonly SourceFile[]): readonly string[] {
  const imports = files.flatMap(importsOf);
  const problems = [
    ...imports.map((edge) => (edge.inside ? edgeProblem(edge) : packageProblem(edge))),
    ...files.map(lengthProblem),
  ];
  return [...problems.filter((problem) => problem !== undefined), ...cycles(imports)];
}
