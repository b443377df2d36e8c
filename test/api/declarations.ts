// The public interface of an entry point as text: every exported name with its declaration,
// taken from the declarations that the compiler emits, without comments and private members.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Declarations of one emitted file by name, and its exports from other files. */
interface DeclarationFile {
  readonly declared: ReadonlyMap<string, string>;
  readonly exported: readonly Reexport[];
}

interface Reexport {
  /** Name here, and in the other file. */
  readonly name: string;
  readonly original: string;
  /** Path of the other file; undefined for a declaration of the same file. */
  readonly from: string | undefined;
}

/** Every name that `entry`, an emitted `.d.ts`, exports, sorted, with its declaration. */
export function publicDeclarations(entry: string): string {
  const lines = [...exportsOf(entry)].sort(([a], [b]) => (a < b ? -1 : 1));
  return `${lines.map(([name, text]) => `## ${name}\n${text}\n`).join('\n')}`;
}

function exportsOf(path: string): ReadonlyMap<string, string> {
  const { exported } = readDeclarations(path);
  const found = new Map<string, string>();
  for (const { name, original, from } of exported) {
    const text = from === undefined ? undefined : exportsOf(from).get(original);
    const own = from === undefined ? readDeclarations(path).declared.get(original) : text;
    if (own === undefined) throw new Error(`${path}: nothing declares ${original}`);
    found.set(name, own);
  }
  return found;
}

const known = new Map<string, DeclarationFile>();

function readDeclarations(path: string): DeclarationFile {
  let file = known.get(path);
  if (file === undefined) {
    file = parseDeclarations(path);
    known.set(path, file);
  }
  return file;
}

function parseDeclarations(path: string): DeclarationFile {
  const declared = new Map<string, string>();
  const exported: Reexport[] = [];
  const imported = new Map<string, Reexport>();
  for (const statement of statements(readFileSync(path, 'utf8'))) {
    const imports = /^import (?:type )?\{([^}]*)\} from '([^']+)';$/s.exec(statement);
    if (imports !== null) {
      for (const each of reexports(path, imports[1] as string, imports[2])) {
        imported.set(each.name, each);
      }
    }
    const list = /^export (?:type )?\{([^}]*)\}(?: from '([^']+)')?;$/s.exec(statement);
    if (list !== null) exported.push(...reexports(path, list[1] as string, list[2]));
    const name =
      /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const|let) (\w+)/.exec(
        statement,
      )?.[1];
    if (name === undefined) continue;
    // Overloads follow each other.
    const before = declared.get(name);
    declared.set(name, before === undefined ? statement : `${before}\n${statement}`);
    const isNew = before === undefined && statement.startsWith('export ');
    if (isNew) exported.push({ name, original: name, from: undefined });
  }
  // What is imported and then exported is the other file's.
  const followed = exported.map((each) => {
    const other = each.from === undefined ? imported.get(each.original) : undefined;
    return other === undefined ? each : { ...other, name: each.name };
  });
  return { declared, exported: followed };
}

function reexports(path: string, list: string, from: string | undefined): readonly Reexport[] {
  const names = list.split(',').map((item) => item.trim());
  return names
    .filter((item) => item !== '')
    .map((item) => {
      const [original, name] = item.replace(/^type /, '').split(' as ') as [string, string?];
      const file = from && join(dirname(path), from.replace(/\.(?:js|ts)$/, '.d.ts'));
      return { name: name ?? original, original, from: file };
    });
}

/** The statements of a file: each begins in the first column, and its other lines do not. */
function statements(source: string): readonly string[] {
  const found: string[] = [];
  const text = source.replace(/^[ \t]*\/\*\*.*?\*\/[ \t]*\n/gms, '');
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('//') || isPrivate(line)) continue;
    const goesOn = /^[\s})\]]/.test(line);
    if (goesOn && found.length > 0) found[found.length - 1] += `\n${line}`;
    else found.push(line);
  }
  return found;
}

function isPrivate(line: string): boolean {
  return /^\s+(?:#private;|private )/.test(line);
}
