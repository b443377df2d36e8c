// What the kernel can do with each fixture, for the tests that compare backends.

/**
 * - `test_run`: loads, and BPF_PROG_TEST_RUN runs it
 * - `load`: loads, but test runs do not exist for its type
 * - `open`: libbpf opens it; loading is refused or not of interest
 * - `refused`: libbpf does not even open it
 */
export type KernelUse = 'test_run' | 'load' | 'open' | 'refused';

/** Objects that stand apart from what their section names promise. */
const exceptions: Readonly<Record<string, KernelUse>> = {
  // One program for every section name; few have a target that exists.
  all_sections: 'open',
  // Calls a function outside `.text`: "bad call relo".
  xdp_sections: 'refused',
};

const runnable = /^(xdp|tc|raw_tp|raw_tracepoint|syscall)($|[./])/;

/** How far a program gets in a Linux 6.18 that has its type. */
export function kernelUse(object: string, section: string): KernelUse {
  return exceptions[object] ?? (runnable.test(section) ? 'test_run' : 'load');
}
