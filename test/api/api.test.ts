// The public interface is pinned: what changes in it shows in the text files beside this one.
// `TSBPF_UPDATE_GOLDENS=1 npx ava 'dist/test/api/**'` writes them anew.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { publicDeclarations } from './declarations.ts';

interface PackageJson {
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
}

const { exports } = JSON.parse(
  readFileSync(join(projectRoot, 'package.json'), 'utf8'),
) as PackageJson;

for (const [entry, target] of Object.entries(exports)) {
  if (typeof target === 'string') continue;
  const name = entry === '.' ? 'index' : entry.slice(2).replaceAll('/', '-');
  test(`public interface of tsbpf${entry.slice(1)}`, (t) => {
    const path = join(projectRoot, 'test/api', `${name}.txt`);
    const text = publicDeclarations(join(projectRoot, target.types));
    if (process.env['TSBPF_UPDATE_GOLDENS'] === '1') writeFileSync(path, text);
    t.true(existsSync(path), `${path} is missing; write it with TSBPF_UPDATE_GOLDENS=1`);
    t.is(
      text,
      readFileSync(path, 'utf8'),
      'it has changed; if it should, use TSBPF_UPDATE_GOLDENS=1',
    );
  });
}
