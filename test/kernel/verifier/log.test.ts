import test from 'ava';
import fc from 'fast-check';
import {
  describeFailure,
  failingPath,
  parseRegisters,
  parseVerifierLog,
  rewritePoison,
} from '../../../src/kernel/index.ts';
import type { ProgramImage } from '../../../src/object/image.ts';

const nothing = (): undefined => undefined;

const processed =
  'processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 3 peak_states 4 mark_read 0\n';

const rows = [
  {
    title: 'the last instruction before the verdict, and the source shown before it',
    log: `func#0 @0
0: R1=ctx() R10=fp0
; int bad(void *ctx) @ bad.c:11
0: (b7) r1 = 0                        ; R1_w=0
; return *(int *)0; @ bad.c:12
1: (61) r0 = *(u32 *)(r1 +0)
R1 invalid mem access 'scalar'
${processed}`,
    failure: {
      message: "R1 invalid mem access 'scalar'",
      insn: 1,
      instruction: 'r0 = *(u32 *)(r1 +0)',
      source: 'bad.c:12: return *(int *)0;',
      registers: ['R1=0'],
      path: ['bad.c:11: int bad(void *ctx)', 'bad.c:12: return *(int *)0;'],
    },
  },
  {
    title: 'source lines of kernels before 6.9 name no file',
    log: `; return *(int *)0;
1: (61) r0 = *(u32 *)(r1 +0)
R1 invalid mem access 'inv'
${processed}`,
    failure: {
      message: "R1 invalid mem access 'inv'",
      insn: 1,
      instruction: 'r0 = *(u32 *)(r1 +0)',
      source: 'return *(int *)0;',
      registers: [],
      path: ['return *(int *)0;'],
    },
  },
  {
    title: 'a verdict of the first passes names its instruction',
    log: `unreachable insn 2\n${processed}`,
    failure: { message: 'unreachable insn 2', insn: 2 },
  },
  {
    title: 'a verdict without an instruction',
    log: 'last insn is not an exit or jmp\n',
    failure: { message: 'last insn is not an exit or jmp', insn: undefined },
  },
] as const;

const empty = { instruction: undefined, source: undefined, registers: [], path: [] };

for (const { title, log, failure } of rows) {
  test(title, (t) => {
    const wanted = { ...empty, reason: undefined, suggestion: undefined, ...failure };
    t.deepEqual(describeFailure(log, nothing), wanted);
  });
}

test('nothing was refused', (t) => {
  const log = `0: (b7) r0 = 0                        ; R0_w=0\n1: (95) exit\n${processed}`;
  t.is(describeFailure(log, nothing), undefined);
  t.is(describeFailure('', nothing), undefined);
  const { statistics } = parseVerifierLog(log);
  t.like(statistics, { insns: 2, limit: 1_000_000, totalStates: 3, peakStates: 4 });
});

test("the object's own line counts more than the log's", (t) => {
  const failure = describeFailure(rows[0].log, (insn) => `x.c:${insn}: here`);
  t.is(failure?.source, 'x.c:1: here');
});

const branches = `0: R1=ctx() R10=fp0
0: (85) call bpf_get_prandom_u32#7    ; R0_w=scalar()
1: (b7) r1 = 1                        ; R1_w=1
2: (15) if r0 == 0x0 goto pc+2        ; R0_w=scalar(umin=1)
3: (b7) r2 = 5                        ; R2_w=5
4: (95) exit
from 2 to 5: R0_w=0 R1_w=1 R10=fp0
5: (61) r0 = *(u32 *)(r2 +0)
R2 !read_ok
${processed}`;

test('the failing path goes from the jump to its other branch', (t) => {
  const log = parseVerifierLog(branches);
  t.is(log.verdict, 'R2 !read_ok');
  t.deepEqual(
    log.steps.map((step) => step.insn),
    [0, 1, 2, 3, 4, 5],
  );
  t.deepEqual(
    failingPath(log).map((step) => step.insn),
    [0, 1, 2, 5],
  );
  const last = failingPath(log).at(-1);
  t.deepEqual(
    last?.registers.map((state) => `${state.name}=${state.text}`),
    ['R0=0', 'R1=1', 'R10=fp0'],
  );
});

test('registers: pointers, bounds that share a value, precise numbers, stack slots, frames', (t) => {
  const text =
    'frame1: R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8) R2_rw=scalar(smin=0,smax=umax=0xff,var_off=(0x0; 0xff)) R3=P-5 R9=inv(id=0) R10=fp-16 fp-8_w=mmmm???? refs=2';
  const states = parseRegisters(text);
  t.deepEqual(
    states.map(({ name, type, value, frame }) => ({ name, type, value, frame })),
    [
      { name: 'R0', type: 'map_value_or_null', value: undefined, frame: 1 },
      { name: 'R2', type: 'scalar', value: undefined, frame: 1 },
      { name: 'R3', type: 'scalar', value: -5n, frame: 1 },
      { name: 'R9', type: 'scalar', value: undefined, frame: 1 },
      { name: 'R10', type: 'fp', value: undefined, frame: 1 },
      { name: 'fp-8', type: 'stack', value: undefined, frame: 1 },
      { name: 'refs', type: 'scalar', value: 2n, frame: 1 },
    ],
  );
  t.is(states[0]?.bounds.get('map'), 'counts');
  t.is(states[1]?.bounds.get('smax'), '0xff');
  t.is(states[1]?.bounds.get('umax'), '0xff');
  t.is(states[1]?.bounds.get('var_off'), '(0x0; 0xff)');
});

// The layout of kernel/bpf/diagnostics.c, with places of both forms.
const redesigned = `0: R1=ctx() R10=fp0
; int drop(struct xdp_md *ctx) @ drop.c:8
0: (18) r1 = 0xffff8880               ; R1_w=map_ptr(map=counts,ks=4,vs=8)
2: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8)
; *count += 1; @ drop.c:12
3: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'

Verification failed: Register Type Safety: Invalid dereference

Reason:
  R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this
  path, so the verifier cannot prove this access is safe.

At:
  drop @ drop.c:12:10
  Source context:
      10 | 
      11 |   __u64 *count = bpf_map_lookup_elem(&counts, &key);
  >>> 12 |   *count += 1;
         |   ^-- error: invalid dereference of a pointer that may be
         |       NULL
      13 |   return XDP_DROP;
  Instruction context:
      2 | (85) call bpf_map_lookup_elem#1
  >>> 3 | (79) r1 = *(u64 *)(r0 +0)

Causal path:
  insn 2
        | ^-- note: R0 becomes a nullable map value pointer
  Instruction context:
  >>> 2 | (85) call bpf_map_lookup_elem#1

Suggestion:
  Check R0 against NULL before using it.

${processed}`;

test('the redesigned log of 7.3 keeps the classic verdict and explains it', (t) => {
  const { verdict, report, statistics } = parseVerifierLog(redesigned);
  t.is(verdict, "R0 invalid mem access 'map_value_or_null'");
  t.is(statistics?.insns, 2);
  t.deepEqual(report, {
    category: 'Register Type Safety',
    problem: 'Invalid dereference',
    reason:
      'R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this path, so the verifier cannot prove this access is safe.',
    at: {
      source: 'drop @ drop.c:12:10',
      insn: 3,
      label: 'error',
      message: 'invalid dereference of a pointer that may be NULL',
    },
    causes: [
      {
        source: undefined,
        insn: 2,
        label: 'note',
        message: 'R0 becomes a nullable map value pointer',
      },
    ],
    suggestion: 'Check R0 against NULL before using it.',
  });
  const failure = describeFailure(redesigned, nothing);
  t.is(failure?.insn, 3);
  t.deepEqual(failure?.registers, ['R0=map_value_or_null(id=1,map=counts,ks=4,vs=8)']);
  t.is(failure?.suggestion, 'Check R0 against NULL before using it.');
});

test('poisoned calls are put into words as libbpf does', (t) => {
  const poisoned = [
    { insn: 1, reason: 'failed to resolve CO-RE relocation of task_struct.nothing' },
    { insn: 4, reason: "the target has no kernel function 'bpf_nothing'" },
  ] as unknown as ProgramImage['poisoned'];
  const log = `0: (b7) r0 = 0\n1: (85) call unknown#195896080\ninvalid func unknown#195896080\n4: (85) call unknown#2002000001\ninvalid func unknown#2002000001\n7: (85) call unknown#211\n`;
  t.is(
    rewritePoison(log, poisoned),
    `0: (b7) r0 = 0\n1: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation of task_struct.nothing\n4: <invalid kfunc call>\nthe target has no kernel function 'bpf_nothing'\n7: (85) call unknown#211\n`,
  );
});

test('any text gives a log', (t) => {
  const line = fc.constantFrom(...branches.split('\n'), ...redesigned.split('\n'), 'R1=(((,', '; ');
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
      const text = lines.join('\n');
      const log = parseVerifierLog(text);
      t.true(failingPath(log).length <= log.steps.length);
      describeFailure(text, nothing);
      parseRegisters(text);
    }),
    { numRuns: 300 },
  );
});
