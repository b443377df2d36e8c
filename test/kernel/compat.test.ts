// What compat and the stack estimate say about every fixture, against what the kernel does.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/paths.ts';
import { checkCompatibility } from '../../src/analysis/compat.ts';
import { stackUse } from '../../src/analysis/stack.ts';
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend, type KernelProgram, kernelBtf } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { kernelTest } from '../support/kernel.ts';

const folder = join(projectRoot, 'fixtures/v3');

/**
 * Objects that the kernel refuses though its types have all they need, with what it says: the
 * verifier does not like the code, or the machine does not allow it.
 */
const refusedAnyway: Readonly<Record<string, RegExp>> = {
  all_sections: /EPERM|EACCES|EINVAL/,
  arena_globals: /EACCES/,
  argument_tags: /EINVAL/,
  attach_targets: /EPERM/,
  // Symbols without types are in kallsyms only.
  ksyms: /no symbol of that name|EPERM/,
  ksyms_untyped: /no symbol of that name/,
  map_pinned: /bpffs/,
};

function openAll(): readonly (readonly [name: string, spec: ObjectSpec])[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.o'))
    .map((file) => {
      const name = file.replace('.o', '');
      return [name, openObject(new Uint8Array(readFileSync(join(folder, file))), { name })];
    });
}

/** Why the kernel does not load an object; undefined where it does. */
function refusal(spec: ObjectSpec, backend: ReturnType<typeof createKernelBackend>) {
  try {
    loadObject(spec, { backend }).close();
    return undefined;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return error.message;
  }
}

kernelTest('compat says of every fixture whether this kernel loads it', (t) => {
  using backend = createKernelBackend();
  const btf = kernelBtf();
  for (const [name, spec] of openAll()) {
    const { loads } = checkCompatibility(spec, { name: 'running', btf });
    const refused = refusal(spec, backend);
    const expected = refusedAnyway[name];
    if (loads && refused !== undefined && expected !== undefined) t.regex(refused, expected, name);
    else t.is(loads, refused === undefined, `${name}: ${refused}`);
  }
});

kernelTest('the stack estimate is what the verifier finds', (t) => {
  using backend = createKernelBackend({ logLevel: 4 });
  let compared = 0;
  for (const [name, spec] of openAll()) {
    let loaded: ReturnType<typeof loadObject>;
    try {
      loaded = loadObject(spec, { backend });
    } catch (error) {
      if (error instanceof BpfError) continue;
      throw error;
    }
    for (const { spec: program, program: made } of loaded.programs) {
      const { log } = made as KernelProgram;
      const depths = /^stack depth (\S+)/m.exec(log)?.[1]?.split('+').map(Number);
      if (depths === undefined) continue;
      const ours = stackUse(spec, program).functions.map((fn) => fn.bytes);
      // The default callback of exceptions has a frame, too; dead code counts with us only.
      const isKnown = name === 'exception_callback' || name === 'core_poison';
      if (!isKnown) t.deepEqual(ours, depths, `${name}.${program.name}`);
      compared++;
    }
    loaded.close();
  }
  t.true(compared > 30, `${compared} programs`);
});
