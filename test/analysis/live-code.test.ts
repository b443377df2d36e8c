import test from 'ava';
import { liveInstructions } from '../../src/analysis/live-code.ts';
import { openObject } from '../../src/object/open.ts';
import type { FunctionSpec, InsnRelocation, ObjectSpec } from '../../src/object/spec.ts';
import { fixture } from '../support/fixtures.ts';
import {
  aluImm,
  assemble,
  type Code,
  callHelper,
  exit,
  goto,
  jumpImm,
  jumpReg,
  load,
  movImm,
  movReg,
  wide,
} from '../vm/engine/assemble.ts';

const globals = openObject(fixture('v3/globals'), { name: 'globals' });
const rodata = globals.maps.findIndex((map) => map.name === '.rodata.table');

/** Indices of the instructions that may run. */
function live(
  code: Code,
  relocations: readonly unknown[] = [],
  has: (extern: number) => boolean = () => true,
): readonly number[] {
  const insns = assemble(code);
  const fn = {
    insns,
    relocations: relocations as readonly InsnRelocation[],
  } as unknown as FunctionSpec;
  const spec: ObjectSpec = {
    ...globals,
    externs: [{ name: 'weak', kind: 'ksym', weak: true, type: undefined }],
  };
  const found = liveInstructions({ spec, fn, insns, has });
  return [...found].flatMap((each, at) => (each === 1 ? [at] : []));
}

test('constants decide jumps', (t) => {
  // if (0) call
  t.deepEqual(live([movImm(1, 0), jumpImm(64, 'eq', 1, 0, 1), callHelper(1), exit()]), [0, 1, 3]);
  t.deepEqual(
    live([movImm(1, 1), jumpImm(64, 'eq', 1, 0, 1), callHelper(1), exit()]),
    [0, 1, 2, 3],
  );
  // 32 bits, arithmetic, registers
  t.deepEqual(
    live([
      movImm(1, -1),
      aluImm(64, 'and', 1, 0xf0),
      aluImm(64, 'rsh', 1, 4),
      movImm(2, 15),
      jumpReg(32, 'ne', 1, 2, 1),
      goto(1),
      callHelper(1),
      exit(),
    ]),
    [0, 1, 2, 3, 4, 5, 7],
  );
  // -1 is less than 0 with its sign, and greatest without
  t.deepEqual(live([movImm(1, -1), jumpImm(64, 'slt', 1, 0, 1), callHelper(1), exit()]), [0, 1, 3]);
  t.deepEqual(live([movImm(1, -1), jumpImm(64, 'gt', 1, 0, 1), callHelper(1), exit()]), [0, 1, 3]);
});

test('what two ways leave is known only if it is the same', (t) => {
  const join = (second: number): Code => [
    jumpImm(64, 'eq', 1, 7, 2),
    movImm(3, 5),
    goto(1),
    movImm(3, second),
    jumpImm(64, 'eq', 3, 5, 1),
    callHelper(1),
    exit(),
  ];
  t.false(live(join(5)).includes(5));
  t.true(live(join(6)).includes(5));
});

test('calls, loads and loops make registers unknown', (t) => {
  const after = (...code: Code): boolean => {
    const all: Code = [movImm(1, 0), movImm(0, 0), movReg(6, 1), ...code];
    const end = assemble(all).length;
    return live([...all, jumpImm(64, 'eq', 1, 0, 1), callHelper(2), exit()]).includes(end + 1);
  };
  t.false(after());
  t.true(after(callHelper(1)));
  t.true(after(load(8, 1, 10, -8)));
  const counted: Code = [
    movImm(1, 0),
    aluImm(64, 'add', 1, 1),
    jumpImm(64, 'ne', 1, 3, -2),
    callHelper(1),
    exit(),
  ];
  t.deepEqual(live(counted), [0, 1, 2, 3, 4]);
});

test('a symbol that is not there has address 0', (t) => {
  const code: Code = [...wide(1, 0n), jumpImm(64, 'eq', 1, 0, 1), callHelper(1), exit()];
  const relocations = [{ kind: 'extern-address', insn: 0, extern: 0 }];
  t.deepEqual(
    live(code, relocations, () => false),
    [0, 2, 4],
  );
  t.deepEqual(
    live(code, relocations, () => true),
    [0, 2, 3, 4],
  );
});

test('constants of .rodata are read, others are not', (t) => {
  t.true(rodata >= 0);
  const first = globals.maps[rodata]?.data?.contents[0] as number;
  const code: Code = [
    ...wide(1, 0n),
    load(1, 2, 1, 0),
    jumpImm(64, 'eq', 2, first, 1),
    callHelper(1),
    exit(),
  ];
  const relocation = { kind: 'map-value', insn: 0, offset: 0 };
  t.false(live(code, [{ ...relocation, map: rodata }]).includes(4));
  const data = globals.maps.findIndex((map) => map.name === '.data');
  t.true(live(code, [{ ...relocation, map: data }]).includes(4));
});
