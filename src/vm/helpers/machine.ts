import type { VmClock } from '../clock.ts';
import type { LoadedProgram } from '../machine.ts';
import type { MapHost } from '../maps/map.ts';
import type { RingBufferMap } from '../maps/ring-buffer.ts';
import type { KernelObjects } from '../objects.ts';
import type { VmRandom } from '../random.ts';
import type { CurrentTask } from '../task.ts';
import type { TraceLog } from '../trace-log.ts';

/** What helpers may use of the simulated kernel. */
export interface HelperMachine extends MapHost {
  readonly objects: KernelObjects;
  readonly clock: VmClock;
  readonly random: VmRandom;
  readonly log: TraceLog;
  readonly task: CurrentTask;
  /** The ring buffer whose page 0 is at this offset. */
  ringAt(base: number): RingBufferMap | undefined;
  /** The engine's form of a program that a prog array holds. */
  loadedProgram(id: number): LoadedProgram | undefined;
}
