import test from 'ava';
import { toJson } from '../../src/cli/json.ts';

test('64-bit integers are printed exactly', (t) => {
  t.is(
    toJson({ max: 2n ** 64n - 1n, min: -(2n ** 63n) }),
    '{"max":18446744073709551615,"min":-9223372036854775808}',
  );
});

test('indented as bpftool indents', (t) => {
  t.is(
    toJson([{ a: 1, b: [] }, {}], 4),
    '[\n    {\n        "a": 1,\n        "b": []\n    },\n    {}\n]',
  );
});

test('names from objects are keys of maps, whatever they are called', (t) => {
  const map = new Map([
    ['__proto__', 1n],
    ['a"b\n', 2n],
  ]);
  t.is(toJson(map), '{"__proto__":1,"a\\"b\\n":2}');
});

test('terminal sequences and bidirectional marks leave escaped', (t) => {
  t.is(toJson('\u001b[31m\u009b\u202e\u2028'), '"\\u001b[31m\\u009b\\u202e\\u2028"');
  t.is(toJson('\udc80'), '"\\udc80"');
});

test('undefined members are left out, null stays', (t) => {
  t.is(toJson({ a: undefined, b: null }), '{"b":null}');
});
