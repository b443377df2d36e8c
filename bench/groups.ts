import { btfGroup } from './btf-libbpf.ts';
import { cliGroup } from './cli.ts';
import type { Group } from './measure.ts';
import { openGroup } from './open.ts';
import { engineGroup } from './vm.ts';
import { compileGroup } from './vm-compile.ts';
import { vmKernelGroup } from './vm-kernel.ts';

/** Everything that `npm run bench` can measure, in the order in which it prints. */
export const groups: readonly Group[] = [
  openGroup,
  btfGroup,
  engineGroup,
  vmKernelGroup,
  compileGroup,
  cliGroup,
];
