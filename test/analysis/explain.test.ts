import test from 'ava';
import { explainNeeds } from '../../src/analysis/explain.ts';
import { parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { openObject } from '../../src/object/open.ts';
import { builtinBtf } from '../../src/vm/index.ts';
import { fixture } from '../support/fixtures.ts';

const open = (name: string) => openObject(fixture(`v3/${name}`), { name });

/** Types with one function `int NAME(ARGUMENTS)`. */
function kernelWith(name: string, parameters: number) {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const proto = builder.add({
    kind: 'func-proto',
    returns: int,
    params: Array.from({ length: parameters }, (_, i) => ({ name: `a${i}`, type: int })),
  });
  builder.add({ kind: 'func', name, proto, linkage: 'static' });
  return { name: 'made up', btf: parseBtf(builder.finish(), { name: 'made up' }) };
}

test('a kernel function: both prototypes, where it was found, what is like it', (t) => {
  const spec = open('kfuncs');
  const of = (kernel: Parameters<typeof explainNeeds>[1], name: string) =>
    explainNeeds(spec, kernel).externs.find((each) => each.name === name);
  t.like(of(kernelWith('bpf_task_releases', 1), 'bpf_task_release'), {
    verdict: 'missing',
    where: undefined,
    declared: 'void bpf_task_release(struct task_struct *)',
    similar: ['bpf_task_releases'],
  });
  t.like(of(kernelWith('bpf_task_from_pid', 3), 'bpf_task_from_pid'), {
    verdict: 'incompatible',
    where: 'vmlinux',
    actual: 'int bpf_task_from_pid(int a0, int a1, int a2)',
  });
  t.like(of(kernelWith('tsbpf_no_such_kfunc', 1), 'tsbpf_no_such_kfunc'), {
    verdict: 'found',
    weak: true,
  });
  const [place] = of(kernelWith('x', 0), 'bpf_task_release')?.places ?? [];
  t.regex(place?.source?.text ?? '', /bpf_task_release/);
});

test('configuration is looked up where there is one', (t) => {
  const spec = open('kconfig');
  const btf = builtinBtf();
  const verdicts = (kconfig: string | undefined) =>
    new Map(
      explainNeeds(spec, { name: 'k', btf, kconfig }).externs.map((each) => [
        each.name,
        each.verdict,
      ]),
    );
  t.is(verdicts(undefined).get('CONFIG_DEFAULT_HOSTNAME'), 'unknown');
  t.is(verdicts('CONFIG_DEFAULT_HOSTNAME="a"\n').get('CONFIG_DEFAULT_HOSTNAME'), 'found');
  t.is(verdicts('').get('LINUX_KERNEL_VERSION') ?? 'unknown', 'unknown');
});

test('a struct of callbacks, member by member', (t) => {
  const kernel = { name: 'none', btf: kernelWith('x', 0).btf };
  const [struct] = explainNeeds(open('struct_ops_tcp'), kernel).structs;
  t.like(struct, { map: 'tsbpf_plain' });
  t.regex(struct?.reason ?? '', /tcp_congestion_ops/);
  t.deepEqual(struct?.members[2], {
    name: 'ssthresh',
    program: 'own_ssthresh',
    offset: 24,
    size: 8,
    target: undefined,
  });
});

test('attach targets that are there, and those that are not', (t) => {
  const { targets } = explainNeeds(open('kfuncs'), kernelWith('x', 0));
  t.deepEqual(
    targets.map(({ program, found }) => [program, found]),
    [
      ['look_up_task', false],
      ['acquire_task', false],
    ],
  );
  t.regex(targets[0]?.reason ?? '', /btf_trace_task_newtask/);
});

test('a symbol without a type is looked up among the names of kallsyms', (t) => {
  const verdict = (symbols: ReadonlySet<string> | undefined) =>
    explainNeeds(open('ksyms_untyped'), { ...kernelWith('x', 0), symbols }).externs.find(
      (each) => each.name === 'bpf_link_fops',
    )?.verdict;
  t.is(verdict(undefined), 'unknown');
  t.is(verdict(new Set(['bpf_link_fops'])), 'found');
  t.is(verdict(new Set()), 'missing');
});
