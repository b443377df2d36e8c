// Compiles our C dumps for BPF, and compares the layouts of what comes out.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Btf } from '../../src/btf/btf.ts';
import { dumpC } from '../../src/btf/dump/c.ts';
import { sizeOf, typeToString } from '../../src/btf/graph.ts';
import { BTF_KIND, type BtfComposite, type TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { attempt, readBtf } from './btf-dump.ts';
import type { Differences } from './compare.ts';

/** Parameters that a BPF function may have. */
const mostParams = 5;

/** Why nothing can be compiled here; undefined where it can. */
export function missingClang(clang: string): string | undefined {
  return spawnSync(clang, ['--version']).status === 0 ? undefined : `no ${clang}`;
}

/** {@link compareCompiled} for a file. */
export function compareCompiledFile(file: string, clang: string): Differences {
  const btf = readBtf(file);
  if (btf instanceof BpfError) throw btf;
  return compareCompiled(btf, clang, layoutOf);
}

/**
 * Compiles a C dump for BPF with clang, and looks for each struct and union of the BTF in
 * what comes out: the same size, and members at the same places. `describe` says what of a
 * type must be the same.
 */
export function compareCompiled(btf: Btf, clang: string, describe = layoutOf): Differences {
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-btf-'));
  try {
    const header = attempt(() => dumpC(btf));
    // What bpftool makes of it then is another comparison.
    if (header instanceof BpfError) return [];
    writeFileSync(join(folder, 'dump.h'), header);
    writeFileSync(join(folder, 'use.c'), usesOf(header));
    const target = btf.littleEndian ? 'bpfel' : 'bpfeb';
    // Newer kernels have members that are structs with a tag but without a name.
    const flags = ['-target', target, '-g', '-O2', '-w', '-fms-extensions', '-c'];
    const files = ['use.c', '-o', 'use.o'];
    const done = spawnSync(clang, [...flags, ...files], { cwd: folder, encoding: 'utf8' });
    if (done.status !== 0) return done.stderr.split('\n').filter((line) => line.includes('error'));
    // Without any struct the object has no BTF.
    if (composites(btf).length === 0) return [];
    const compiled = readBtf(join(folder, 'use.o'));
    return compiled instanceof BpfError
      ? [compiled.message]
      : compareLayouts(btf, compiled, describe);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Functions that take pointers to every struct and union that the header defines: clang
 * writes the BTF of what parameters point to in full.
 */
function usesOf(header: string): string {
  const tags = [...header.matchAll(/^((?:struct|union) \w+) \{/gm)].map((match) => match[1]);
  const functions: string[] = [];
  for (let i = 0; i < tags.length; i += mostParams) {
    const params = tags.slice(i, i + mostParams).map((tag, j) => `${tag} *p${j}`);
    functions.push(`int tsbpf_use_${i}(${params.join(', ')}) { return 0; }`);
  }
  return `#include "dump.h"\n${functions.join('\n')}\n`;
}

/** Every layout that a name has in `btf` must be one that it has in `compiled`. */
function compareLayouts(btf: Btf, compiled: Btf, describe: typeof layoutOf): Differences {
  const found = new Map<string, Set<string>>();
  for (const type of composites(compiled)) {
    const layouts = found.get(baseName(type)) ?? new Set();
    layouts.add(describe(compiled, type));
    found.set(baseName(type), layouts);
  }
  return composites(btf).flatMap((type) => {
    const layout = describe(btf, type);
    const layouts = found.get(baseName(type));
    if (layouts?.has(layout) === true) return [];
    const other = layouts === undefined ? 'it is missing' : [...layouts].join(' or ');
    return [`${baseName(type)}: ${layout} became ${other}`];
  });
}

function composites(btf: Btf): readonly BtfComposite[] {
  const found: BtfComposite[] = [];
  for (let id = btf.firstId; id < btf.endId; id++) {
    const kind = btf.kindOf(id as TypeId);
    if (kind !== BTF_KIND.STRUCT && kind !== BTF_KIND.UNION) continue;
    const type = btf.type(id as TypeId);
    if ((type.kind === 'struct' || type.kind === 'union') && type.name !== '') found.push(type);
  }
  return found;
}

/** Names that occur more than once have got a suffix in C. */
function baseName(type: BtfComposite): string {
  return `${type.kind} ${type.name.replace(/___\d+$/, '')}`;
}

/** {@link layoutOf}, with the types of the members. */
export function typedLayoutOf(btf: Btf, type: BtfComposite): string {
  const types = type.members.map((member) => typeToString(btf, member.type));
  return `${layoutOf(btf, type)} ${types.join('; ')}`;
}

/** Size, and name, place and size of each member, as text. */
function layoutOf(btf: Btf, type: BtfComposite): string {
  const members = type.members.map(({ name, type: member, bitOffset, bitSize }) => {
    const size = attempt(() => sizeOf(btf, member));
    const bits = bitSize === 0 ? (size instanceof BpfError ? 0 : 8 * size) : bitSize;
    return `${name}@${bitOffset}:${bits}`;
  });
  return `${type.size} {${members.join(' ')}}`;
}
