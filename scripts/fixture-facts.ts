// What the kernel can do with each fixture, for the tests that compare backends.

/**
 * - `test_run`: loads, and BPF_PROG_TEST_RUN runs it
 * - `load`: loads, but test runs do not exist for its type
 * - `open`: libbpf opens it; loading is refused or not of interest
 * - `refused`: libbpf does not even open it
 */
export type KernelUse = 'test_run' | 'load' | 'open' | 'refused';

/** Objects that stand apart from what their section names promise. */
const exceptions: ReadonlyMap<string, KernelUse> = new Map([
  // Calls a function outside `.text`: "bad call relo".
  ['xdp_sections', 'refused'],
  ...uses('open', [
    // One program for every section name; few have a target that exists.
    'all_sections',
    'more_sections',
    'attach_targets',
    'program_flags',
    // Programs without a type, which libbpf refuses to load.
    'section_names',
    'newest_sections',
    'text_only',
    // Maps that no kernel takes all of.
    'map_flags',
    'map_types',
    'map_types_new',
    'map_members',
    'map_pinned',
    'kernel_pointers',
    // Need what only a prepared host has: symbols, types, registered structs.
    'arena_globals',
    'arena_plain',
    'argument_tags',
    'exception_callback',
    'jump_tables',
    'kconfig',
    'kconfig_one',
    'kfuncs',
    'ksyms',
    'ksyms_untyped',
    'struct_ops_optional',
    'struct_ops_tcp',
    'value_fields',
    // Types that not every kernel has.
    'core_arrays',
    'core_bitfields',
    'core_enums',
    'core_flavours',
    'core_poison',
    'core_types',
  ]),
  // They load; what they compute is told by other objects.
  ...uses('load', [
    'all_types',
    'callbacks',
    'cpu_levels',
    'data_sections',
    'linkage',
    'long_names',
    'no_license',
  ]),
]);

function uses(
  use: KernelUse,
  objects: readonly string[],
): readonly (readonly [string, KernelUse])[] {
  return objects.map((name) => [name, use]);
}

const runnable = /^(xdp|tc|raw_tp|raw_tracepoint|syscall)($|[./])/;

/** How far a program gets in a Linux 6.18 that has its type. */
export function kernelUse(object: string, section: string): KernelUse {
  return exceptions.get(object) ?? (runnable.test(section) ? 'test_run' : 'load');
}
