import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { BPF_ATTACH_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import {
  matchSection,
  SECTION_FLAG,
  sectionRules,
  splitAutoload,
  suggestSections,
} from '../../src/object/section-rules.ts';

function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(values).find((name) => values[name] === value) ?? '?';
}

/** One line for each rule, as in `section-rules.golden`. */
function ruleLine(rule: (typeof sectionRules)[number]): string {
  const suffix = rule.match === 'optional-suffix' ? '+' : '';
  const attach = rule.attachType === 0 ? '-' : nameOf(BPF_ATTACH_TYPE, rule.attachType);
  const flags = Object.keys(SECTION_FLAG).filter(
    (flag) => rule.flags & SECTION_FLAG[flag as keyof typeof SECTION_FLAG],
  );
  const type = nameOf(BPF_PROG_TYPE, rule.type);
  return [`${rule.name}${suffix}`, type, attach, flags.join('|') || '-'].join(' ');
}

const golden = readFileSync(join(projectRoot, 'test/object/section-rules.golden'), 'utf8')
  .trimEnd()
  .split('\n');

test('the table has the 116 names of libbpf, in its order', (t) => {
  t.is(sectionRules.length, 116);
  t.deepEqual(sectionRules.map(ruleLine), golden);
});

/** libbpf's way: the first rule that is equal, or that is followed by a slash. */
function firstMatch(section: string): string | undefined {
  return sectionRules.find(({ name, match }) =>
    match === 'exact' ? section === name : section === name || section.startsWith(`${name}/`),
  )?.name;
}

for (const { name, match } of sectionRules) {
  test(`SEC("${name}")`, (t) => {
    const found = matchSection(name);
    t.is(found?.rule.name, name);
    t.is(found?.target, undefined);
    const withTarget = matchSection(`${name}/a/b`);
    t.is(withTarget?.rule.name, match === 'exact' ? undefined : name);
    t.is(withTarget?.target, match === 'exact' ? undefined : 'a/b');
    for (const section of [name, `${name}/`, `${name}/x`, `${name}x`, `${name}.s/x`]) {
      t.is(matchSection(section)?.rule.name, firstMatch(section), section);
    }
  });
}

test('no name is twice in the table, and none with a suffix has a slash', (t) => {
  t.is(new Set(sectionRules.map((rule) => rule.name)).size, sectionRules.length);
  for (const { name, match } of sectionRules) t.false(match !== 'exact' && name.includes('/'));
});

for (const section of ['', '/', '?xdp', 'XDP', 'kprobe:x', '__proto__', 'constructor/x', 'xdp\0']) {
  test(`no rule for ${JSON.stringify(section)}`, (t) => {
    t.is(matchSection(section), undefined);
  });
}

test('a leading question mark switches loading off', (t) => {
  t.deepEqual(splitAutoload('?tp/a/b'), { section: 'tp/a/b', autoload: false });
  t.deepEqual(splitAutoload('tp/a/b'), { section: 'tp/a/b', autoload: true });
  t.deepEqual(splitAutoload('??xdp'), { section: '?xdp', autoload: false });
});

const typos: readonly (readonly [string, readonly string[]])[] = [
  ['xpd', ['xdp']],
  ['kprobes/do_exit', ['kprobe/do_exit']],
  ['tracepiont/sched/sched_switch', ['tracepoint/sched/sched_switch']],
  ['fentr/do_exit', ['fentry/do_exit']],
  ['cgroup/sock_creat', ['cgroup/sock_create']],
  ['classifer', ['classifier']],
  ['tp_bft/x', ['tp_btf/x']],
  ['nothing like it', []],
  [`xdp${'p'.repeat(100_000)}`, []],
];

for (const [section, similar] of typos) {
  test(`suggestion for ${section.slice(0, 40)}`, (t) => {
    t.deepEqual(suggestSections(section), { withoutTarget: undefined, similar });
  });
}

test('a target where none belongs', (t) => {
  t.deepEqual(suggestSections('xdp/eth0'), { withoutTarget: 'xdp', similar: [] });
});
