import test from 'ava';
import { formatCounts, parseCounts, readTap } from '../../scripts/counts.ts';

const tap = `TAP version 13
ok 1 - a › works
not ok 2 - b › fails
  ---
    name: AssertionError
  ...
ok 3 - c › is not run # SKIP
ok 4 - d

1..4
# tests 4
# pass 3
# fail 1
`;

test('TAP: passes, failures with their diagnostics, skips', (t) => {
  const report = readTap(tap);
  t.deepEqual(report.counts, { passed: 2, failed: 1, skipped: 1 });
  t.is(report.failures.length, 1);
  t.regex(report.failures[0] ?? '', /^b › fails\n[\s\S]*AssertionError/);
  t.deepEqual(report.skipped, ['c › is not run # SKIP']);
});

test('TAP: nothing in it counts as nothing', (t) => {
  t.deepEqual(readTap('').counts, { passed: 0, failed: 0, skipped: 0 });
});

test('counts: the last line is read back', (t) => {
  const counts = { passed: 12, failed: 0, skipped: 3 };
  t.deepEqual(parseCounts(`noise\n${formatCounts(counts)}\n`), counts);
  t.is(parseCounts('1 passed, 0 failed'), undefined);
  t.is(parseCounts('12 passed, 0 failed, 3 skipped\nmore'), undefined);
});
