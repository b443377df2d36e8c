// The module map as data: which room may import which, and who may use what from outside.

const base = ['errors', 'bytes', 'abi'] as const;
const formats = [...base, 'elf', 'asm', 'btf'] as const;
const backendBase = [...base, 'asm', 'btf', 'object'] as const;

/**
 * For each room (a folder of src, or the file of that name) the rooms that it may import
 * besides itself. Imports point one way: nothing here names a room that names it back.
 */
export const allowedRooms: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  bytes: ['errors'],
  abi: ['errors', 'bytes'],
  elf: base,
  asm: base,
  btf: base,
  object: formats,
  relocs: [...formats, 'object'],
  linker: [...formats, 'object'],
  backend: backendBase,
  vm: [...backendBase, 'backend'],
  kernel: [...backendBase, 'backend'],
  loader: [...formats, 'object', 'relocs', 'backend'],
  analysis: [...formats, 'object', 'relocs'],
  index: [...formats, 'object', 'relocs', 'linker', 'backend', 'loader', 'vm'],
  skeleton: [...formats, 'object', 'relocs', 'backend', 'loader', 'index'],
  cli: [
    ...formats,
    'object',
    'relocs',
    'linker',
    'backend',
    'loader',
    'vm',
    'kernel',
    'analysis',
    'skeleton',
    'index',
  ],
};

/**
 * Of another room, all that these rooms may see: backends know specs and images, and how attach
 * targets are looked for in types, no parser.
 */
export const narrowed: readonly {
  readonly from: readonly string[];
  readonly room: string;
  readonly files: readonly string[];
}[] = [
  {
    from: ['backend', 'vm', 'kernel'],
    room: 'object',
    files: ['object/spec.ts', 'object/image.ts', 'object/attach-btf.ts'],
  },
];

/** Packages and built-in modules, and the paths below src (prefixes) that may import them. */
export const outsidePackages: Readonly<Record<string, readonly string[]>> = {
  'node:': ['kernel/', 'cli/', 'skeleton/output', 'elf/elfy.ts'],
  elfy: ['elf/elfy.ts'],
  koffi: ['kernel/'],
  commander: ['cli/'],
  pino: ['cli/'],
  wabt: ['cli/commands/prog-dump.ts'],
};

/** No source file is longer, in lines; generated files are not counted. */
export const maxLines = 900;

/** Generated sources, which may be of any length. */
export const generated: readonly string[] = ['abi/', 'vm/builtin-btf.ts'];
