// Every fixture that the kernel can take is loaded into it, both CPU versions.
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { type FixtureVariant, fixture, fixtureEntries } from '../support/fixtures.ts';
import { kernelTest } from '../support/kernel.ts';

for (const entry of fixtureEntries()) {
  const taken = new Set(
    entry.programs
      .filter(({ kernel }) => kernel === 'test_run' || kernel === 'load')
      .map(({ name }) => name),
  );
  if (taken.size === 0) continue;
  for (const variant of ['v3', 'v4'] as const satisfies readonly FixtureVariant[]) {
    if (entry.sha256[variant] === undefined) continue;
    kernelTest(`${variant}/${entry.name} loads`, (t) => {
      using backend = createKernelBackend();
      const spec = openObject(fixture(`${variant}/${entry.name}`), { name: entry.name });
      const autoload = ({ name }: { readonly name: string }) => taken.has(name);
      using object = loadObject(spec, { backend, autoload });
      t.is(object.programs.length, taken.size);
    });
  }
}

kernelTest('a big-endian object is refused with advice', (t) => {
  using backend = createKernelBackend();
  const spec = openObject(fixture('be/xdp_counter'), { name: 'xdp_counter' });
  const error = t.throws(() => loadObject(spec, { backend }), { instanceOf: BpfError }) as BpfError;
  t.is(error.code, 'kernel-unsupported');
  t.regex(error.message, /big-endian/);
});

kernelTest('a program that may not fail reports C source of the failing line', (t) => {
  using backend = createKernelBackend();
  const spec = openObject(fixture('v3/xdp_counter'), { name: 'xdp_counter' });
  // As a kprobe, whose context has no packet pointers.
  const programs = spec.programs.map((program) => ({ ...program, type: 2 }));
  const error = t.throws(() => loadObject({ ...spec, programs }, { backend })) as BpfError;
  if (error.detail.code !== 'program-load') return t.fail(error.message);
  t.regex(error.detail.failure?.source ?? '', /xdp_counter\.bpf\.c:\d+: .*eth->h_proto/);
  t.regex(error.message, /the verifier stopped at instruction \d+ \(.*xdp_counter/);
});
