// Types that promise more than there is: decoding ends, and says why.
import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { decodeValue } from '../../src/btf/decode.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError, type BpfErrorCode } from '../../src/errors.ts';

const cases: readonly {
  readonly title: string;
  /** Adds types; the one to decode. */
  readonly build: (types: BtfBuilder) => TypeId;
  readonly code: BpfErrorCode;
}[] = [
  {
    title: 'four thousand million empty structs',
    build: (types) => {
      const element = types.add({ kind: 'struct', size: 0, members: [] });
      return types.add({ kind: 'array', element, index: element, length: 0xffffffff });
    },
    code: 'btf-value',
  },
  {
    title: 'a struct that contains itself',
    build: (types) => {
      const type = types.nextId;
      return types.add({ kind: 'struct', size: 8, members: [{ name: 'a', type, bitOffset: 0 }] });
    },
    code: 'btf-value',
  },
  {
    title: 'unions that double at every level',
    build: (types) => {
      let type = types.add({ kind: 'int', name: 'int', size: 4 });
      for (let level = 0; level < 40; level++) {
        const members = ['a', 'b'].map((name) => ({ name, type, bitOffset: 0 }));
        type = types.add({ kind: 'union', size: 4, members });
      }
      return type;
    },
    code: 'btf-value',
  },
  {
    title: 'a member after the end of its struct',
    build: (types) => {
      const type = types.add({ kind: 'int', name: 'int', size: 4 });
      const members = [{ name: 'a', type, bitOffset: 0x7fffff00 }];
      return types.add({ kind: 'struct', size: 4, members });
    },
    code: 'btf-value',
  },
  {
    title: 'a member without a size',
    build: (types) => {
      const type = types.add({ kind: 'fwd', name: 'unknown', of: 'struct' });
      return types.add({ kind: 'struct', size: 4, members: [{ name: 'a', type, bitOffset: 0 }] });
    },
    code: 'btf-no-size',
  },
];

for (const { title, build, code } of cases) {
  test(`decoding ${title} is refused`, (t) => {
    const types = new BtfBuilder();
    const id = build(types);
    const btf = parseBtf(types.finish());
    const started = performance.now();
    const error = t.throws(() => decodeValue(btf, id, new Uint8Array(16)), {
      instanceOf: BpfError,
    });
    t.is(error?.code, code);
    t.true(performance.now() - started < 500);
  });
}
