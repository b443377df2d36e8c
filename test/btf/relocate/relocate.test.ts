import test from 'ava';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { BtfBuilder } from '../../../src/btf/encode.ts';
import { distillBase, relocateBtf } from '../../../src/btf/index.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';

const int = {
  kind: 'int',
  size: 4,
  bits: 32,
  bitOffset: 0,
  signed: true,
  char: false,
  bool: false,
};

/** A kernel whose types have other ids, or whose struct has another size. */
function kernel(extra: number, size = 8): Btf {
  const builder = new BtfBuilder();
  for (let i = 0; i < extra; i++) builder.add({ ...int, name: `filler${i}` } as never);
  const id = builder.add({ ...int, name: 'int' } as never);
  const member = { name: 'a', type: id, bitOffset: 0, bitSize: 0 };
  const members = [member, { ...member, name: 'b', bitOffset: 32 }];
  builder.add({ kind: 'struct', name: 'inner', size, members } as never);
  return parseBtf(builder.finish(), { name: 'kernel' });
}

/** A module with a struct that holds the kernel's by value, and a pointer to it. */
function moduleOn(base: Btf): Btf {
  const builder = new BtfBuilder({ base });
  const inner = base.find('inner') as TypeId;
  const members = [{ name: 'held', type: inner, bitOffset: 0, bitSize: 0 }];
  builder.add({ kind: 'struct', name: 'outer', size: 8, members } as never);
  builder.add({ kind: 'ptr', name: '', target: inner } as never);
  return parseBtf(builder.finish(), { name: 'module', base });
}

test('a distilled base holds names and sizes; the module finds them in another kernel', (t) => {
  const old = kernel(0);
  const { base, split } = distillBase(moduleOn(old));
  const kept = base.type(base.find('inner') as TypeId);
  t.like(kept, { kind: 'struct', size: 8, members: [] });
  t.is(split.base, base);
  const other = kernel(5);
  const moved = relocateBtf(split, other);
  t.is(moved.base, other);
  const outer = moved.type(moved.find('outer') as TypeId);
  const held = outer.kind === 'struct' ? outer.members[0]?.type : undefined;
  t.is(held, other.find('inner'));
});

test('a struct held by value must have its size', (t) => {
  const { split } = distillBase(moduleOn(kernel(0)));
  const error = t.throws(() => relocateBtf(split, kernel(0, 16)), { instanceOf: BpfError });
  t.is(error.code, 'btf-relocate');
  t.regex(error.message, /inner/);
});

test('what has no base cannot be distilled or put on another', (t) => {
  t.is(t.throws(() => distillBase(kernel(0)), { instanceOf: BpfError }).code, 'btf-no-base');
  const error = t.throws(() => relocateBtf(kernel(0), kernel(1)), { instanceOf: BpfError });
  t.is(error.code, 'btf-no-base');
});
