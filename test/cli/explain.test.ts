// `tsbpf explain` against types from files.
import test from 'ava';
import type { ExplainReport } from '../../src/cli/commands/explain.ts';
import { ElfEdit } from '../support/elf-edit.ts';
import { fixture } from '../support/fixtures.ts';
import { objectPath, parseLine, Scratch, tsbpf } from './support.ts';

const walk = objectPath('v3/task_walk');

/** The types of the object itself, as a raw BTF file. */
function ownTypes(): Uint8Array {
  const edit = new ElfEdit(fixture('v3/task_walk'));
  const { offset, size } = edit.section('.BTF');
  return edit.bytes.slice(offset, offset + size);
}

test('raw BTF and an ELF file with .BTF give the same plans', async (t) => {
  using scratch = new Scratch();
  const raw = scratch.write('types.btf', ownTypes());
  const elf = scratch.write('types.o', fixture('v3/task_walk'));
  const plans = await Promise.all(
    [raw, elf].map(async (path) => {
      const { status, out, err } = await tsbpf('explain', walk, '--btf', path, '-j');
      t.deepEqual({ status, err }, { status: 0, err: '' });
      const report = parseLine(t, out) as ExplainReport;
      t.is(report.target_btf, path);
      return report.relocations.map(({ function: name, insn, verdict, from, to }) => ({
        ...{ name, insn, verdict, from, to },
      }));
    }),
  );
  t.deepEqual(plans[0], plans[1]);
});

test('against its own types nothing moves', async (t) => {
  using scratch = new Scratch();
  const path = scratch.write('types.btf', ownTypes());
  const { out } = await tsbpf('-j', 'explain', walk, '--btf', path, '--program', 'walk_btf');
  const { relocations } = parseLine(t, out) as ExplainReport;
  const fields = relocations.filter(({ kind }) => kind === 'byte_off');
  t.true(fields.length > 5);
  for (const { verdict, from, to } of fields) {
    if (verdict === 'patch') t.is(from, to);
    else t.is(verdict, 'unchanged');
  }
});

test('--program leaves out what others do', async (t) => {
  const all = parseLine(t, (await tsbpf('-j', 'explain', walk)).out) as ExplainReport;
  const names = ['walk_argument', 'walk_current', 'describe_types', 'walk_btf'];
  let seen = 0;
  for (const name of names) {
    const { out } = await tsbpf('-j', 'explain', walk, '--program', name);
    const one = parseLine(t, out) as ExplainReport;
    t.true(one.relocations.length > 0);
    const others = names.filter((other) => other !== name);
    t.false(one.relocations.some((relocation) => others.includes(relocation.function)));
    t.is(
      Object.values(one.summary).reduce((sum, n) => sum + n, 0),
      one.relocations.length,
    );
    t.true(one.relocations.length < all.relocations.length);
    seen += one.relocations.length;
  }
  t.true(seen >= all.relocations.length);
});

test('types that lack the struct: poison with the reason, in text and JSON', async (t) => {
  const argv = ['explain', walk, '--btf', objectPath('v3/xdp_counter')];
  const { status, out } = await tsbpf(...argv);
  t.is(status, 0);
  t.regex(out, /poison/);
  const { summary, relocations } = parseLine(t, (await tsbpf(...argv, '-j')).out) as ExplainReport;
  t.true(summary.poison > 10);
  const poisoned = relocations.filter(({ verdict }) => verdict === 'poison');
  t.true(poisoned.every(({ reason }) => (reason?.length ?? 0) > 10));
});

test('the image against the same types says which instructions are unusable', async (t) => {
  const argv = ['--btf', objectPath('v3/xdp_counter'), '--program', 'walk_btf'];
  const { status, out } = await tsbpf('object', 'image', walk, ...argv);
  t.is(status, 0);
  t.regex(out, /; poisoned: /);
});
