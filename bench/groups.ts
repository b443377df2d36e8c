import type { Group } from './measure.ts';
import { openGroup } from './open.ts';
import { vmKernelGroup } from './vm-kernel.ts';

/** Everything that `npm run bench` can measure, in the order in which it prints. */
export const groups: readonly Group[] = [openGroup, vmKernelGroup];
