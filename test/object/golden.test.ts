// Specifications of a few fixtures as text, beside this test. To write them anew after a
// change of a fixture: TSBPF_UPDATE_GOLDENS=1 npx ava dist/test/object/golden.test.js
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { openObject } from '../../src/object/open.ts';
import type { FunctionSpec, InsnRelocation, MapSpec, ObjectSpec } from '../../src/object/spec.ts';
import { fixture } from '../support/fixtures.ts';

for (const name of ['map_in_map', 'tail_calls', 'globals', 'xdp_parser', 'task_walk'] as const) {
  test(`specification of ${name}`, (t) => {
    const text = `${lines(openObject(fixture(`v3/${name}`), { name })).join('\n')}\n`;
    const path = join(projectRoot, 'test/object/goldens', `${name}.golden`);
    if (process.env['TSBPF_UPDATE_GOLDENS'] === '1') writeFileSync(path, text);
    t.is(text, readFileSync(path, 'utf8'));
  });
}

function lines(spec: ObjectSpec): string[] {
  return [
    `object ${spec.name}, license ${spec.license}`,
    ...spec.programs.map(
      ({ name, section, type, attachType, attachTarget, flags, function: index }) =>
        `program ${name} in ${section}: type ${type}, attach ${attachType} ${attachTarget ?? '-'}, flags ${flags}, function ${index}`,
    ),
    ...spec.functions.flatMap((fn, index) => functionLines(fn, index, spec)),
    ...spec.maps.flatMap((map, index) => mapLines(map, index)),
  ];
}

function functionLines(fn: FunctionSpec, index: number, spec: ObjectSpec): string[] {
  const { name, section, sectionOffset, binding, insns, lineInfo, coreRelocations } = fn;
  return [
    `function ${index} ${name} (${binding}) in ${section} at ${sectionOffset}: ${insns.length} instructions, ${lineInfo.length} lines`,
    ...fn.relocations.map((relocation) => `  ${relocation.insn}: ${target(relocation, spec)}`),
    ...coreRelocations.map(
      ({ insn, kind, type, access }) =>
        `  ${insn}: core ${kind} ${spec.btf?.nameOf(type) ?? '?'} ${access}`,
    ),
  ];
}

function target(relocation: InsnRelocation, spec: ObjectSpec): string {
  switch (relocation.kind) {
    case 'map':
      return `map ${spec.maps[relocation.map]?.name}`;
    case 'map-value':
      return `map value ${spec.maps[relocation.map]?.name} + ${relocation.offset}`;
    case 'jump-table':
      return `jump table [${relocation.targets.join(', ')}] + ${relocation.offset}`;
    case 'call':
    case 'function-address':
      return `${relocation.kind} ${spec.functions[relocation.target]?.name}`;
    case 'extern-call':
    case 'extern-address':
      return `${relocation.kind} ${spec.externs[relocation.extern]?.name}`;
  }
}

function mapLines(map: MapSpec, index: number): string[] {
  const { name, kernelName, type, keySize, valueSize, maxEntries, flags, extra, pinning } = map;
  const inner = map.inner === undefined ? [] : mapLines(map.inner, index);
  return [
    `map ${index} ${name} (${kernelName}): type ${type}, key ${keySize}, value ${valueSize}, entries ${maxEntries}, flags ${flags}, extra ${extra}, pinning ${pinning}`,
    ...inner.map((line) => `  template ${line}`),
    ...map.values.map((value) => `  [${value.index}] = ${JSON.stringify(value)}`),
    ...(map.data?.variables ?? []).map(
      (variable) =>
        `  ${variable.offset}: ${variable.name} (${variable.binding}), ${variable.size} bytes`,
    ),
  ];
}
