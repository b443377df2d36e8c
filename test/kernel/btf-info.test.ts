import { readFileSync } from 'node:fs';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend } from '../../src/kernel/backend.ts';
import { kernelBtfById, listKernelBtf } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { fixture } from '../support/fixtures.ts';
import { kernelTest } from '../support/kernel.ts';

kernelTest('the types of the kernel are listed and read by id', (t) => {
  const vmlinux = listKernelBtf().find((each) => each.name === 'vmlinux');
  t.true(vmlinux?.kernel);
  const btf = kernelBtfById(vmlinux?.id ?? 0);
  t.is(Buffer.compare(btf.bytes, readFileSync('/sys/kernel/btf/vmlinux')), 0);
});

kernelTest('types that a loaded object brought are found again', (t) => {
  const before = new Set(listKernelBtf().map((each) => each.id));
  const spec = openObject(fixture('v3/demo'));
  using kernel = createKernelBackend();
  using object = loadObject(spec, { backend: kernel });
  t.true(object.maps.size > 0);
  const brought = listKernelBtf().filter((each) => !before.has(each.id));
  t.is(brought.length, 1);
  t.false(brought[0]?.kernel);
  t.is(dumpRaw(kernelBtfById(brought[0]?.id ?? 0)), dumpRaw(spec.btf ?? t.fail()));
});

kernelTest('an id that does not exist is a clear error', (t) => {
  const error = t.throws(() => kernelBtfById(0xffff_fff0)) as BpfError;
  t.true(error instanceof BpfError);
  t.regex(error.message, /open BTF 4294967280.*ENOENT/);
});
