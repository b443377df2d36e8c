// Every TypeScript example of the README and of docs/ is a whole program: it is compiled
// with the project's settings, run in the project's root, and must print what its
// `// prints: …` comments say, line by line.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';

interface Example {
  readonly name: string;
  readonly code: string;
}

// Inside the project, so that the examples can import it by its name.
const folder = join(projectRoot, `.cache/examples-${process.pid}`);

function documents(): readonly string[] {
  const guides = readdirSync(join(projectRoot, 'docs')).filter((file) => file.endsWith('.md'));
  return ['README.md', ...guides.map((file) => `docs/${file}`)];
}

function examplesOf(path: string): readonly Example[] {
  const text = readFileSync(join(projectRoot, path), 'utf8');
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  const stem = path.replace(/\.md$/, '').replace(/[^a-zA-Z0-9]/g, '-');
  return blocks.map((block, index) => ({ name: `${stem}-${index + 1}`, code: block[1] ?? '' }));
}

const examples = documents().flatMap(examplesOf);

test.before('compile the examples', () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), code);
  const base = JSON.parse(readFileSync(join(projectRoot, 'tsconfig.json'), 'utf8')) as {
    readonly compilerOptions: object;
  };
  const overrides = { rootDir: '.', outDir: 'out', declaration: false, sourceMap: false };
  const compilerOptions = { ...base.compilerOptions, ...overrides };
  const config = { compilerOptions, include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(projectRoot, 'node_modules/typescript/bin/tsc');
  const run = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stdout);
});

test.after.always('remove the examples', () => rmSync(folder, { recursive: true, force: true }));

for (const { name, code } of examples) {
  test(`example ${name} prints what it says`, (t) => {
    const expected = [...code.matchAll(/\/\/ prints: (.*)$/gm)].map((match) => match[1]);
    const output = execFileSync(process.execPath, [join(folder, 'out', `${name}.js`)], {
      cwd: projectRoot,
      encoding: 'utf8',
    });
    t.deepEqual(output.trimEnd().split('\n'), expected.length === 0 ? [''] : expected);
  });
}

test('there are examples', (t) => {
  t.true(examples.length > 3);
});
