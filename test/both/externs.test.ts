// Programs made by hand that lean on what an object may lack: they must do the same in the VM
// and in the machine's kernel.
import type { Backend } from '../../src/backend/backend.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import type { ExternSpec, ObjectSpec } from '../../src/object/spec.ts';
import { createVm } from '../../src/vm/index.ts';
import { at, exit, makeMap, makeProgram, makeSpec, map, type Row, wide } from '../relocs/specs.ts';
import { kernelTest } from '../support/kernel.ts';

const kernelFacts = (backend: Backend, name: string) => {
  const [address] = backend.host.symbols(new Set([name])).get(name) ?? [];
  return address === undefined ? new Map() : new Map([[name, address]]);
};

/** Runs the object's one program on both. */
function results(spec: ObjectSpec): readonly number[] {
  using kernel = createKernelBackend();
  using vm = createVm({ host: { symbols: kernelFacts(kernel, '_text') } });
  return [kernel, vm].map((backend) => {
    using object = loadObject(spec, { backend });
    return object.program('main').testRun({ data: new Uint8Array(64) }).returnValue;
  });
}

const set = (register: number, value: number): Row => [0xb7, register, 0, 0, value];
const extern = (kind: ExternSpec['kind'], name: string): ExternSpec => ({
  ...{ kind, name, weak: true, type: undefined },
});

function onlyMain(
  rows: readonly Row[],
  relocations: NonNullable<Parameters<typeof makeSpec>[0][number]['relocations']>,
  more: Partial<ObjectSpec>,
): ObjectSpec {
  const seed = { name: 'main', rows, section: 'xdp', relocations };
  return makeSpec([seed], { programs: [makeProgram('main', 0)], ...more });
}

kernelTest('a weak function that is missing is never called', (t) => {
  // r1 = &function; if (r1 == 0) return 3; return function();
  const rows: readonly Row[] = [
    ...[...wide(1), [0x15, 1, 0, 2, 0] as Row, [0x85, 0, 2, 0, -1] as Row],
    ...[exit, set(0, 3), exit],
  ];
  const relocations = [
    { kind: 'extern-address', insn: at(0), extern: 0 },
    { kind: 'extern-call', insn: at(3), extern: 0 },
  ] as const;
  const spec = onlyMain(rows, relocations, { externs: [extern('kfunc', 'tsbpf_no_such_kfunc')] });
  t.deepEqual(results(spec), [3, 3]);
});

kernelTest('a map that is not made is never looked at', (t) => {
  // r2 = 0; if (r2 == 0) return 4; r1 = &map; return 0;
  const rows: readonly Row[] = [
    ...[set(2, 0), [0x15, 2, 0, 4, 0] as Row, ...wide(1)],
    ...[set(0, 0), exit, set(0, 4), exit],
  ];
  const relocations = [{ kind: 'map', insn: at(2), map: map(0) }] as const;
  const spec = onlyMain(rows, relocations, { maps: [makeMap('off', { autocreate: false })] });
  t.deepEqual(results(spec), [4, 4]);
});

kernelTest('the address of a kernel symbol is a number, of a missing one 0', (t) => {
  const rows: readonly Row[] = [...wide(0), [0x77, 0, 0, 0, 32], exit];
  const relocations = [{ kind: 'extern-address', insn: at(0), extern: 0 }] as const;
  const [present, same] = results(
    onlyMain(rows, relocations, { externs: [extern('ksym', '_text')] }),
  );
  t.is(present, same);
  t.not(present, 0);
  const gone = onlyMain(rows, relocations, { externs: [extern('ksym', 'tsbpf_no_such_symbol')] });
  t.deepEqual(results(gone), [0, 0]);
});
