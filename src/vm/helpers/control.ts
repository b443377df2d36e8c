import { BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { HelperFunction, Run } from '../machine.ts';
import type { HelperMachine } from './machine.ts';
import { callbackArgument } from './maps.ts';
import {
  argumentU32,
  argumentU64,
  giveError,
  giveNumber,
  giveUnsigned,
  type HelperEntries,
  misuse,
  pointer,
} from './registers.ts';

/** Most rounds of one `bpf_loop` (`BPF_MAX_LOOPS`). */
const maxLoops = 8 * 1024 * 1024;

/** Loops and locks. */
export function controlHelpers(machine: HelperMachine): HelperEntries {
  const { memory } = machine;
  const lockWord = (run: Run) => pointer(memory, run, 1, 4, 'store') >>> 2;
  const lock: HelperFunction = (run) => {
    const word = lockWord(run);
    if (memory.words[word] !== 0) throw misuse(run, 1, 'the spin lock is held already: a deadlock');
    memory.words[word] = 1;
    giveNumber(run, 0);
  };
  const unlock: HelperFunction = (run) => {
    const word = lockWord(run);
    if (memory.words[word] !== 1) throw misuse(run, 1, 'the spin lock is not held');
    memory.words[word] = 0;
    giveNumber(run, 0);
  };
  return [
    [BPF_FUNC.loop, loop],
    [BPF_FUNC.spin_lock, lock],
    [BPF_FUNC.spin_unlock, unlock],
  ];
}

/** `bpf_loop(count, callback, context, flags)`: rounds done; a callback that gives 1 ends it. */
function loop(run: Run): void {
  const count = argumentU32(run, 1);
  const callback = callbackArgument(run, 2);
  const { half } = run.cpu;
  const [contextLow, contextHigh] = [half[6] as number, half[7] as number];
  if (argumentU64(run, 4) !== 0) {
    giveError(run, 'EINVAL');
    return;
  }
  if (count > maxLoops) {
    // The verifier replaces the call by a loop of its own, whose error is a 32-bit move: the
    // upper half of r0 is 0, so that programs see 4294967289 and not -7.
    giveUnsigned(run, -ERRNO.E2BIG >>> 0);
    return;
  }
  let done = 0;
  while (done < count) {
    half[2] = done;
    half[3] = 0;
    half[4] = contextLow;
    half[5] = contextHigh;
    run.callFunction(callback);
    done++;
    if (half[0] !== 0 || half[1] !== 0) break;
  }
  giveNumber(run, done);
}
