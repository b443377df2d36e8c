import test from 'ava';
import { parseVerifierLog } from '../../src/kernel/index.ts';

const nothing = (): undefined => undefined;

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
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    failure: {
      message: "R1 invalid mem access 'scalar'",
      insn: 1,
      source: 'bad.c:12: return *(int *)0;',
    },
  },
  {
    title: 'source lines of kernels before 6.9 name no file',
    log: `; return *(int *)0;
1: (61) r0 = *(u32 *)(r1 +0)
R1 invalid mem access 'inv'
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    failure: { message: "R1 invalid mem access 'inv'", insn: 1, source: 'return *(int *)0;' },
  },
  {
    title: 'a verdict of the first passes names its instruction',
    log: `unreachable insn 2
processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    failure: { message: 'unreachable insn 2', insn: 2, source: undefined },
  },
  {
    title: 'a verdict without an instruction',
    log: 'last insn is not an exit or jmp\n',
    failure: { message: 'last insn is not an exit or jmp', insn: undefined, source: undefined },
  },
  {
    title: 'nothing was refused',
    log: `0: (b7) r0 = 0                        ; R0_w=0
1: (95) exit
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    failure: undefined,
  },
  { title: 'an empty log', log: '', failure: undefined },
] as const;

for (const { title, log, failure } of rows) {
  test(title, (t) => t.deepEqual(parseVerifierLog(log, nothing), failure));
}

test("the object's own line counts more than the log's", (t) => {
  const failure = parseVerifierLog(rows[0].log, (insn) => `x.c:${insn}: here`);
  t.is(failure?.source, 'x.c:1: here');
});
