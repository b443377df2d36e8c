import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { architectureProblems, type SourceFile } from './imports.ts';
import { allowedRooms } from './rules.ts';

function sources(): readonly SourceFile[] {
  const root = join(projectRoot, 'src');
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return paths
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

test('src keeps to the module map', (t) => {
  const files = sources();
  t.true(files.length > 20);
  t.deepEqual(architectureProblems(files), []);
});

test('the map itself points one way', (t) => {
  for (const [room, allowed] of Object.entries(allowedRooms)) {
    for (const other of allowed) {
      t.false(allowedRooms[other]?.includes(room), `${room} and ${other} allow each other`);
    }
  }
});

const cases: readonly {
  readonly title: string;
  readonly files: Readonly<Record<string, string>>;
  readonly problem: RegExp | undefined;
}[] = [
  {
    title: 'an import to the left is fine',
    files: { 'object/a.ts': `import { b } from '../elf/b.ts';\n` },
    problem: undefined,
  },
  {
    title: 'an import to the right is not',
    files: { 'elf/a.ts': `import { b } from '../object/b.ts';\n` },
    problem: /elf may not import object/,
  },
  {
    title: 'types count between rooms',
    files: { 'btf/a.ts': `import type { B } from '../asm/b.ts';\n` },
    problem: /btf may not import asm/,
  },
  {
    title: 'an import over several lines is seen',
    files: { 'vm/a.ts': `import {\n  b,\n  type C,\n} from '../kernel/b.ts';\n` },
    problem: /vm may not import kernel/,
  },
  {
    title: 're-exports and side effects are seen',
    files: { 'vm/a.ts': `export * from '../relocs/core/b.ts';\n` },
    problem: /vm may not import relocs/,
  },
  {
    title: 'a dynamic import is seen',
    files: { 'index.ts': `const k = await import('./kernel/index.ts');\n` },
    problem: /index may not import kernel/,
  },
  {
    title: 'backends see specs, not parsers',
    files: { 'vm/a.ts': `import { open } from '../object/open.ts';\n` },
    problem: /only object\/spec.ts/,
  },
  {
    title: 'node: stays out of the portable rooms',
    files: { 'loader/a.ts': `import { readFileSync } from 'node:fs';\n` },
    problem: /allowed only in/,
  },
  {
    title: 'the kernel room may use node: and koffi',
    files: { 'kernel/a.ts': `import fs from 'node:fs';\nimport koffi from 'koffi';\n` },
    problem: undefined,
  },
  {
    title: 'packages have their places',
    files: { 'object/a.ts': `import elfy from 'elfy';\n` },
    problem: /allowed only in elf\/elfy.ts/,
  },
  {
    title: 'unknown packages are refused',
    files: { 'cli/a.ts': `import left from 'left-pad';\n` },
    problem: /not a dependency/,
  },
  {
    title: 'a cycle of values is found',
    files: {
      'elf/a.ts': `import { b } from './b.ts';\n`,
      'elf/b.ts': `export { a } from './a.ts';\n`,
    },
    problem: /cycle: elf\/a.ts -> elf\/b.ts -> elf\/a.ts/,
  },
  {
    title: 'types inside a room may be circular',
    files: {
      'elf/a.ts': `import { b } from './b.ts';\n`,
      'elf/b.ts': `import type { A } from './a.ts';\n`,
    },
    problem: undefined,
  },
  {
    title: 'a long file is found',
    files: { 'elf/a.ts': '\n'.repeat(901) },
    problem: /901 lines/,
  },
  {
    title: 'a room outside of the map is found',
    files: { 'misc/a.ts': `import { b } from '../elf/b.ts';\n` },
    problem: /not in the module map/,
  },
];

for (const { title, files, problem } of cases) {
  test(`checker: ${title}`, (t) => {
    const list = Object.entries(files).map(([path, text]) => ({ path, text }));
    const found = architectureProblems(list);
    if (problem === undefined) t.deepEqual(found, []);
    else t.regex(found.join('\n'), problem);
  });
}
