import test from 'ava';
import { BPF_CMD } from '../../src/abi/bpf.ts';
import { ERRNO } from '../../src/abi/errno.ts';
import { surely } from '../../src/kernel/sys.ts';

/** Gives one result after the other, the last for ever, and counts. */
function results(...list: readonly number[]) {
  let calls = 0;
  return {
    call: () => list[Math.min(calls++, list.length - 1)] as number,
    get calls() {
      return calls;
    },
  };
}

test('a number that the collector left behind is asked for again', (t) => {
  const ends = results(-ERRNO.EAGAIN, -ERRNO.ETIMEDOUT, -ERRNO.ENOENT);
  t.is(surely(BPF_CMD.BTF_GET_NEXT_ID, ends.call), -ERRNO.ENOENT);
  t.is(ends.calls, 3);
  const works = results(-ERRNO.EAGAIN, 7);
  t.is(surely(BPF_CMD.PROG_LOAD, works.call), 7);
  const fails = results(-ERRNO.EINVAL, 7);
  t.is(surely(BPF_CMD.PROG_LOAD, fails.call), -ERRNO.EINVAL);
  t.is(fails.calls, 1);
});

test('not for ever, and not what may have done something', (t) => {
  const always = results(-ERRNO.EAGAIN);
  t.is(surely(BPF_CMD.PROG_LOAD, always.call), -ERRNO.EAGAIN);
  t.is(always.calls, 8);
  for (const command of [BPF_CMD.PROG_TEST_RUN, BPF_CMD.MAP_UPDATE_BATCH]) {
    const once = results(-ERRNO.EAGAIN, 0);
    t.is(surely(command, once.call), -ERRNO.EAGAIN);
    t.is(once.calls, 1);
  }
});
