import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { kernelTest, support } from '../support/kernel.ts';

/** What `kernelSupport()` says in a process that `setup` has changed. */
function supportIn(setup: string): { readonly ok: boolean; readonly reason?: string } {
  const module = join(projectRoot, 'dist/src/kernel/index.js');
  const script = `${setup}; const { kernelSupport } = await import(${JSON.stringify(module)});
    console.log(JSON.stringify(kernelSupport()));`;
  const text = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  return JSON.parse(text) as { ok: boolean; reason?: string };
}

const setPlatform = (name: string) =>
  `Object.defineProperty(process, 'platform', { value: '${name}' })`;

test('not on other systems', (t) => {
  const { ok, reason } = supportIn(setPlatform('darwin'));
  t.false(ok);
  t.is(reason, 'the kernel backend cannot be used here: it needs Linux, this is darwin');
});

test('not without koffi, which is named', (t) => {
  const { ok, reason } = supportIn(
    `${setPlatform('linux')};
     const Module = (await import('node:module')).default;
     const load = Module._load;
     Module._load = (name, ...rest) => {
       if (name === 'koffi') throw new Error('Cannot find module');
       return load(name, ...rest);
     };`,
  );
  t.false(ok);
  t.regex(reason ?? '', /the package 'koffi'.*npm install koffi/);
});

test('the answer has a reason exactly where it is no', (t) => {
  if (support.ok) t.false('reason' in support);
  else t.true(support.reason.length > 0);
});

kernelTest('here it works', (t) => {
  t.true(supportIn('').ok);
});

kernelTest('not without capabilities, which are named', (t) => {
  // No unprivileged bpf() on this machine: otherwise an array may be made by anyone.
  const { ok, reason } = supportIn(`
    process.setgid(65534); process.setuid(65534)`);
  if (ok) t.log('this kernel lets anyone use bpf()');
  else t.regex(reason ?? '', /BPF_MAP_CREATE.*EPERM.*CAP_BPF/);
});
