// The lines that coverage, traps and traces name, against those of llvm-objdump -l.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../../scripts/paths.ts';
import { sourceLineAt } from '../../../src/object/image.ts';
import { openObject } from '../../../src/object/open.ts';
import { fixture } from '../../support/fixtures.ts';

const objdump = 'llvm-objdump-19';
const isThere = spawnSync(objdump, ['--version']).status === 0;

/** `file:line` of each instruction by section and index; none before the first line. */
function expectedLines(path: string): ReadonlyMap<string, string> {
  const args = ['-d', '-l', '--no-show-raw-insn', '--triple=bpf', path];
  const { stdout } = spawnSync(objdump, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const found = new Map<string, string>();
  let section = '';
  let line = '';
  for (const text of stdout.split('\n')) {
    const start = /^Disassembly of section (.*):$/.exec(text);
    if (start !== null) section = start[1] as string;
    // A function begins without a line of its own until it has one.
    if (/^[0-9a-f]+ <.*>:$/.test(text)) line = '';
    const source = /^; (.*:\d+)$/.exec(text);
    if (source !== null) line = source[1] as string;
    const insn = /^ +(\d+):\t/.exec(text);
    if (insn !== null && line !== '') found.set(`${section} ${insn[1]}`, line);
  }
  return found;
}

const names = readdirSync(join(projectRoot, 'fixtures/v3'))
  .filter((file) => file.endsWith('.o'))
  .map((file) => file.replace('.o', ''));

(isThere ? test : test.skip)(`lines are those of ${objdump} for every instruction`, (t) => {
  let compared = 0;
  for (const name of names) {
    const { functions, btf } = openObject(fixture(`v3/${name}`), { name });
    const expected = expectedLines(join(projectRoot, `fixtures/v3/${name}.o`));
    const wrong: string[] = [];
    for (const fn of functions) {
      for (let at = 0; at < fn.insns.length; at += fn.insns.isWide(at) ? 2 : 1) {
        const theirs = expected.get(`${fn.section} ${fn.sectionOffset + at}`);
        const source = sourceLineAt({ lineInfo: fn.lineInfo, btf }, at);
        if (theirs === undefined || source === undefined) continue;
        const ours = `${source.file}:${source.line}`;
        if (ours !== theirs) wrong.push(`${fn.name}+${at}: ${ours}, not ${theirs}`);
        compared++;
      }
    }
    t.deepEqual(wrong.slice(0, 3), [], name);
  }
  t.true(compared > 5000, `${compared} instructions`);
});
