// Where things are: the project's root, and the folder of fetched authorities.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('no package.json above this script');
  return findRoot(parent);
}

/** The checkout that this script runs in, compiled or not. */
export const projectRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Root of the unpacked Debian packages that scripts/authorities.sh fetches. */
export const authoritiesRoot =
  process.env['TSBPF_AUTHORITIES'] ?? join(projectRoot, '.cache/authorities/root');
