import { quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** What is wrong with the definition of a map. Types are spelled as in C. */
export type MapFault =
  | { readonly kind: 'no-name'; readonly index: number }
  | { readonly kind: 'duplicate' }
  | {
      readonly kind: 'outside';
      readonly offset: number;
      readonly size: number;
      readonly sectionSize: number;
    }
  | { readonly kind: 'cut-off'; readonly size: number; readonly have: number }
  | { readonly kind: 'linkage'; readonly linkage: 'static' | 'extern' }
  | { readonly kind: 'not-a-struct'; readonly is: string }
  | { readonly kind: 'too-many-members'; readonly count: number }
  | { readonly kind: 'no-type' }
  | { readonly kind: 'unknown-member' }
  | { readonly kind: 'duplicate-member' }
  | { readonly kind: 'not-a-number'; readonly is: string }
  | { readonly kind: 'not-one-enumerator'; readonly count: number }
  | { readonly kind: 'number-too-large'; readonly value: bigint }
  | { readonly kind: 'conflicting-size'; readonly first: number; readonly second: number }
  | { readonly kind: 'not-a-pointer'; readonly is: string }
  | { readonly kind: 'no-size'; readonly is: string; readonly reason: string }
  | { readonly kind: 'values-nested' }
  | { readonly kind: 'values-not-last' }
  | { readonly kind: 'values-map-type'; readonly type: number }
  | { readonly kind: 'values-shape'; readonly is: string }
  | { readonly kind: 'values-element'; readonly is: string; readonly wanted: string }
  | { readonly kind: 'inner-pinned' }
  | { readonly kind: 'pinning'; readonly value: number };

/** What is wrong with an initial value in `.maps`. */
export type InitialValueFault =
  | { readonly kind: 'no-map' }
  | { readonly kind: 'not-in-values'; readonly map: string }
  | { readonly kind: 'map-type'; readonly map: string; readonly type: number }
  | { readonly kind: 'not-a-map'; readonly map: string }
  | { readonly kind: 'not-a-program'; readonly map: string }
  | { readonly kind: 'key-size'; readonly map: string; readonly keySize: number }
  | { readonly kind: 'duplicate'; readonly map: string; readonly index: number };

/** What is wrong with a relocation in a section of struct_ops structs. Offsets in bytes. */
export type StructOpsFault =
  | { readonly kind: 'not-a-struct'; readonly is: string }
  | { readonly kind: 'anonymous' }
  | {
      readonly kind: 'outside';
      readonly offset: number;
      readonly size: number;
      readonly sectionSize: number;
    }
  | { readonly kind: 'no-member'; readonly offset: number; readonly symbol: string }
  | { readonly kind: 'not-a-callback'; readonly member: string; readonly is: string }
  | { readonly kind: 'not-a-function'; readonly member: string; readonly symbol: string }
  | {
      readonly kind: 'program-type';
      readonly member: string;
      readonly program: string;
      readonly section: string;
    };

/** What is wrong with a jump table. Offsets and sizes in bytes. */
export type JumpTableFault =
  | { readonly kind: 'jump-table-size'; readonly size: number }
  | { readonly kind: 'jump-table-alignment'; readonly offset: number }
  | {
      readonly kind: 'jump-table-target';
      readonly index: number;
      readonly target: bigint;
      readonly start: number;
      readonly end: number;
    }
  | { readonly kind: 'jump-table-total'; readonly limit: number };

/** What is wrong with an `extern` declaration. */
export type ExternFault =
  | { readonly kind: 'no-type' }
  | { readonly kind: 'no-section' }
  | { readonly kind: 'kconfig-function' }
  | { readonly kind: 'kconfig-type'; readonly is: string }
  | { readonly kind: 'kconfig-size'; readonly is: string; readonly reason: string }
  | { readonly kind: 'kconfig-unused' };

/** What is wrong with the target that a section name gives. */
export type AttachTargetFault =
  | { readonly kind: 'kprobe' }
  | { readonly kind: 'uprobe' }
  | { readonly kind: 'uprobe-function' }
  | { readonly kind: 'return-offset'; readonly offset: bigint }
  | { readonly kind: 'usdt' }
  | { readonly kind: 'tracepoint' };

/** What is wrong with a function symbol. Offsets and sizes in bytes. */
export type FunctionFault =
  | { readonly kind: 'alignment'; readonly offset: number; readonly size: number }
  | { readonly kind: 'static' }
  | { readonly kind: 'overlap'; readonly other: string }
  | { readonly kind: 'no-name'; readonly offset: number };

/** What is wrong with a relocation of an instruction. */
export type CodeRelocationFault =
  | { readonly kind: 'instruction'; readonly opcode: number }
  | { readonly kind: 'alignment'; readonly offset: number }
  | { readonly kind: 'type'; readonly type: number; readonly wanted: string }
  | { readonly kind: 'twice' }
  | { readonly kind: 'call-form'; readonly source: number }
  | { readonly kind: 'undefined' }
  | { readonly kind: 'common' }
  | { readonly kind: 'special-section'; readonly section: number }
  | { readonly kind: 'no-function'; readonly section: string; readonly offset: number }
  | { readonly kind: 'call-target'; readonly section: string }
  | { readonly kind: 'no-map'; readonly section: string; readonly offset: number }
  | {
      readonly kind: 'outside-data';
      readonly section: string;
      readonly offset: number;
      readonly size: number;
    }
  | { readonly kind: 'section'; readonly section: string }
  | JumpTableFault;

/** Errors of making an object specification from an ELF file, and of editing one. */
export type ObjectErrorDetail =
  | { readonly code: 'unsupported-section'; readonly section: string; readonly reason: string }
  | { readonly code: 'duplicate-section'; readonly section: string }
  | { readonly code: 'version-size'; readonly size: number }
  | {
      readonly code: 'data-too-large';
      readonly section: string;
      readonly size: number;
      readonly limit: number;
    }
  | { readonly code: 'datasec-without-section'; readonly section: string }
  | {
      readonly code: 'datasec-variable';
      readonly section: string;
      readonly index: number;
      readonly fault:
        | { readonly kind: 'not-a-variable'; readonly is: string }
        | { readonly kind: 'no-symbol'; readonly name: string };
    }
  | { readonly code: 'maps-without-types' }
  | {
      readonly code: 'map-definition';
      readonly map: string;
      /** Empty where the fault is of the map as a whole. */
      readonly member: string;
      readonly fault: MapFault;
    }
  | {
      readonly code: 'initial-value';
      /** In bytes from the start of `.maps`. */
      readonly offset: number;
      readonly symbol: string;
      readonly fault: InitialValueFault;
    }
  | { readonly code: 'function-symbol'; readonly symbol: string; readonly fault: FunctionFault }
  | {
      readonly code: 'code-relocation';
      /** Name of the symbol, or of the section where the symbol stands for one. */
      readonly symbol: string;
      readonly fault: CodeRelocationFault;
    }
  | { readonly code: 'stray-call'; readonly offset: number }
  | {
      readonly code: 'extern-declaration';
      readonly name: string;
      readonly fault: ExternFault;
    }
  | { readonly code: 'struct-ops-without-types'; readonly section: string }
  | {
      readonly code: 'struct-ops';
      readonly section: string;
      /** The variable; empty where the fault is not in one. */
      readonly variable: string;
      readonly fault: StructOpsFault;
    }
  | {
      readonly code: 'struct-ops-relocation';
      readonly section: string;
      /** In bytes from the start of the section. */
      readonly offset: number;
      readonly symbol: string;
    }
  | { readonly code: 'several-arenas'; readonly first: string; readonly second: string }
  | { readonly code: 'arena-missing'; readonly section: string }
  | { readonly code: 'attach-target'; readonly section: string; readonly fault: AttachTargetFault }
  | { readonly code: 'section-handler'; readonly name: string }
  | { readonly code: 'name-taken'; readonly what: 'program'; readonly name: string }
  | { readonly code: 'ext-offset'; readonly offset: number }
  | { readonly code: 'core-kind'; readonly kind: number }
  | {
      readonly code: 'no-such-name';
      readonly what: 'map' | 'program' | 'variable';
      readonly name: string;
      readonly known: readonly string[];
    }
  | {
      readonly code: 'ambiguous-variable';
      readonly name: string;
      readonly sections: readonly string[];
    }
  | {
      readonly code: 'variable-size';
      readonly name: string;
      readonly size: number;
      readonly given: number;
    };

export const objectWords: Words<ObjectErrorDetail> = {
  'unsupported-section': (d) => `section ${quoteName(d.section)}: ${d.reason}`,
  'duplicate-section': (d) => `two sections are called ${quoteName(d.section)}`,
  'version-size': (d) => `section 'version' has ${d.size} bytes, expected a 32-bit number`,
  'data-too-large': (d) =>
    `the data sections without contents up to ${quoteName(d.section)} take ${d.size} bytes, more than the ${d.limit} that can be allocated`,
  'datasec-without-section': (d) =>
    `the types describe the data section ${quoteName(d.section)}, which the object does not have`,
  'datasec-variable': (d) =>
    d.fault.kind === 'no-symbol'
      ? `variable ${quoteName(d.fault.name)} of ${quoteName(d.section)} has a type but no symbol`
      : `entry ${d.index} of data section ${quoteName(d.section)} is of kind ${d.fault.is}, expected a variable`,
  'maps-without-types': () =>
    "section '.maps' defines maps, but the object has no types for them; compile with -g",
  'map-definition': (d) =>
    `map ${quoteName(d.map)}${d.member === '' ? '' : `, member ${quoteName(d.member)}`}: ${mapFault(d.fault)}`,
  'initial-value': (d) =>
    `initial value ${quoteName(d.symbol)} at offset ${d.offset} of '.maps' ${initialValueFault(d.fault)}`,
  'function-symbol': (d) => `function ${quoteName(d.symbol)} ${functionFault(d.fault)}`,
  'code-relocation': (d) => `relocation against ${quoteName(d.symbol)} ${codeFault(d.fault)}`,
  'stray-call': (d) =>
    `the call goes to offset ${d.offset} of the section, where no function starts`,
  'extern-declaration': (d) => `extern ${quoteName(d.name)} ${externFault(d.fault)}`,
  'struct-ops-without-types': (d) =>
    `section ${quoteName(d.section)} holds structs of callbacks, but the object has no types for them; compile with -g`,
  'struct-ops': (d) =>
    `variable ${quoteName(d.variable)} of ${quoteName(d.section)} ${structOpsFault(d.fault)}`,
  'struct-ops-relocation': (d) =>
    `the relocation against ${quoteName(d.symbol)} at offset ${d.offset} of ${quoteName(d.section)} is in none of its variables`,
  'several-arenas': (d) =>
    `maps ${quoteName(d.first)} and ${quoteName(d.second)} are both arenas; an object can have one`,
  'arena-missing': (d) =>
    `section ${quoteName(d.section)} holds variables of an arena, but the object defines none; add a map of type BPF_MAP_TYPE_ARENA to '.maps'`,
  'attach-target': (d) => `section ${quoteName(d.section)} ${attachTargetFault(d.fault)}`,
  'section-handler': (d) =>
    `a section handler cannot be called ${quoteName(d.name)}; give it a name such as 'mine', 'mine+' or 'mine/'`,
  'name-taken': (d) =>
    d.name === ''
      ? `a ${d.what} needs a name`
      : `there already is a ${d.what} ${quoteName(d.name)}; choose another name`,
  'ext-offset': (d) => `a record of '.BTF.ext' is for offset ${d.offset}, not a multiple of 8`,
  'core-kind': (d) => `a CO-RE relocation is of the unknown kind ${d.kind}`,
  'no-such-name': (d) => `there is no ${d.what} ${quoteName(d.name)}; ${listNames(d.known)}`,
  'ambiguous-variable': (d) =>
    `several variables are called ${quoteName(d.name)}, in ${d.sections.map(quoteName).join(', ')}`,
  'variable-size': (d) =>
    `variable ${quoteName(d.name)} has ${d.size} bytes, but ${d.given} were given`,
};

function mapFault(fault: MapFault): string {
  switch (fault.kind) {
    case 'no-name':
      return `definition ${fault.index} of '.maps' has no name`;
    case 'duplicate':
      return 'is defined twice';
    case 'outside':
      return `${fault.size} bytes at offset ${fault.offset} reach beyond the ${fault.sectionSize} bytes of '.maps'`;
    case 'cut-off':
      return `the variable has ${fault.have} bytes, but its type ${fault.size}`;
    case 'linkage':
      return fault.linkage === 'static'
        ? 'static maps are not supported; remove "static"'
        : 'is only declared; link the object that defines it';
    case 'not-a-struct':
      return `is defined by ${fault.is}, expected a struct`;
    case 'too-many-members':
      return `has ${fault.count} members; a definition has no more than a dozen`;
    case 'no-type':
      return 'has no type; add __uint(type, BPF_MAP_TYPE_…)';
    case 'unknown-member':
      return 'no such member; known are type, max_entries, map_flags, numa_node, key_size, key, value_size, value, values, pinning and map_extra';
    case 'duplicate-member':
      return 'is there twice';
    case 'not-a-number':
      return `${fault.is} is not a number; use __uint() or __ulong()`;
    case 'not-one-enumerator':
      return `an enum with ${fault.count} enumerators is not a number; use __ulong()`;
    case 'number-too-large':
      return `${fault.value} does not fit in 32 bits`;
    case 'conflicting-size':
      return `${fault.second} bytes, but another member says ${fault.first}`;
    case 'not-a-pointer':
      return `${fault.is} is not a pointer to a type; use __type()`;
    case 'no-size':
      return `the size of ${fault.is} is not known: ${fault.reason}`;
    case 'values-nested':
      return 'maps of maps of maps do not exist';
    case 'values-not-last':
      return 'must be the last member';
    case 'values-map-type':
      return `only maps of maps and prog arrays can have initial values, not map type ${fault.type}; put __uint(type, …) first`;
    case 'values-shape':
      return `${fault.is} is not a flexible array of pointers; use __array()`;
    case 'values-element':
      return `the elements are ${fault.is}, expected ${fault.wanted}`;
    case 'inner-pinned':
      return 'the template of inner maps cannot be pinned';
    case 'pinning':
      return `${fault.value} is neither LIBBPF_PIN_NONE (0) nor LIBBPF_PIN_BY_NAME (1)`;
  }
}

function initialValueFault(fault: InitialValueFault): string {
  switch (fault.kind) {
    case 'no-map':
      return 'is not inside a map';
    case 'not-in-values':
      return `is not an element of member 'values' of map ${quoteName(fault.map)}`;
    case 'map-type':
      return `is in map ${quoteName(fault.map)} of type ${fault.type}, which has no initial values`;
    case 'not-a-map':
      return `in map ${quoteName(fault.map)} is not a map defined in '.maps'`;
    case 'not-a-program':
      return `in map ${quoteName(fault.map)} is not a program with a section of its own`;
    case 'key-size':
      return `is in map ${quoteName(fault.map)} with keys of ${fault.keySize} bytes; initial values need keys of 4`;
    case 'duplicate':
      return `is the second one for index ${fault.index} of map ${quoteName(fault.map)}`;
  }
}

function functionFault(fault: FunctionFault): string {
  switch (fault.kind) {
    case 'alignment':
      return `(${fault.size} bytes at offset ${fault.offset}) does not consist of whole 8-byte instructions`;
    case 'static':
      return 'is static, but not in .text; remove SEC() from it or "static"';
    case 'overlap':
      return `overlaps function ${quoteName(fault.other)}`;
    case 'no-name':
      return `at offset ${fault.offset} has no name`;
  }
}

function codeFault(fault: CodeRelocationFault): string {
  switch (fault.kind) {
    case 'instruction':
      return `is at an instruction with opcode 0x${fault.opcode.toString(16)}, expected a call or a 64-bit load`;
    case 'alignment':
      return `is at offset ${fault.offset}, which is no multiple of 8`;
    case 'type':
      return `has type ${fault.type}, expected ${fault.wanted}`;
    case 'twice':
      return 'is the second one for this instruction';
    case 'call-form':
      return `is at a call with source register ${fault.source}, expected 1 (a subprogram)`;
    case 'undefined':
      return 'refers to an undefined symbol; declare it with __ksym or __kconfig, or link the object that defines it';
    case 'common':
      return 'refers to a variable without a section; compile with -fno-common or initialise it';
    case 'special-section':
      return `refers to the special section 0x${fault.section.toString(16)}`;
    case 'no-function':
      return `refers to offset ${fault.offset} of ${quoteName(fault.section)}, where no function starts`;
    case 'call-target':
      return `calls into section ${quoteName(fault.section)}, which holds no code`;
    case 'no-map':
      return `refers to offset ${fault.offset} of ${quoteName(fault.section)}, where no map starts`;
    case 'outside-data':
      return `refers to offset ${fault.offset} of ${quoteName(fault.section)}, which has only ${fault.size} bytes`;
    case 'section':
      return `refers to section ${quoteName(fault.section)}, which holds neither maps nor code nor global variables (.data, .rodata, .bss)`;
    case 'jump-table-size':
      return `refers to a jump table of ${fault.size} bytes, expected entries of 8`;
    case 'jump-table-alignment':
      return `refers to a jump table at offset ${fault.offset}, which is no multiple of 8`;
    case 'jump-table-target':
      return `refers to a jump table whose entry ${fault.index} is ${fault.target}, not the offset of an instruction of the same function (${fault.start} to ${fault.end})`;
    case 'jump-table-total':
      return `refers to a jump table beyond the ${fault.limit} entries that all of an object may have`;
  }
}

function externFault(fault: ExternFault): string {
  switch (fault.kind) {
    case 'no-type':
      return 'has no type; compile with -g, or define it';
    case 'no-section':
      return 'is in neither .ksyms nor .kconfig; declare it with __ksym or __kconfig';
    case 'kconfig-function':
      return 'is a function, and .kconfig has only values; declare it with __ksym';
    case 'kconfig-type':
      return `is of type ${fault.is}; a __kconfig value is a bool, an enum libbpf_tristate, a char, an integer of 1, 2, 4 or 8 bytes, or an array of char`;
    case 'kconfig-size':
      return `is of type ${fault.is}, whose size is not known: ${fault.reason}`;
    case 'kconfig-unused':
      return 'is declared in .kconfig, but there is no symbol for it';
  }
}

function structOpsFault(fault: StructOpsFault): string {
  switch (fault.kind) {
    case 'not-a-struct':
      return `is ${fault.is}, expected a struct`;
    case 'anonymous':
      return 'is of a struct without a name, by which the kernel would know it';
    case 'outside':
      return `takes ${fault.size} bytes at offset ${fault.offset}, beyond the ${fault.sectionSize} of its section`;
    case 'no-member':
      return `has no member at offset ${fault.offset}, where ${quoteName(fault.symbol)} is to go`;
    case 'not-a-callback':
      return `has a function in member ${quoteName(fault.member)}, which is ${fault.is}, expected a pointer to a function`;
    case 'not-a-function':
      return `has ${quoteName(fault.symbol)} in member ${quoteName(fault.member)}, where no function starts`;
    case 'program-type':
      return `has ${quoteName(fault.program)} of section ${quoteName(fault.section)} in member ${quoteName(fault.member)}; put the function into SEC("struct_ops")`;
  }
}

function attachTargetFault(fault: AttachTargetFault): string {
  switch (fault.kind) {
    case 'kprobe':
      return 'names no function of the kernel; write SEC("kprobe/function") or SEC("kprobe/function+offset")';
    case 'uprobe':
      return 'names no function; write SEC("uprobe/binary:function") or SEC("uprobe/binary:function+offset")';
    case 'uprobe-function':
      return 'names no function after the colon; write SEC("uprobe/binary:function")';
    case 'return-offset':
      return `gives an offset (${fault.offset}), and returns are probed at no offset`;
    case 'usdt':
      return 'names no probe; write SEC("usdt/binary:provider:name")';
    case 'tracepoint':
      return 'names no tracepoint; write SEC("tp/category/name")';
  }
}

const listed = 20;

function listNames(names: readonly string[]): string {
  if (names.length === 0) return 'the object has none';
  const more = names.length > listed ? ', …' : '';
  return `the object has ${names.slice(0, listed).map(quoteName).join(', ')}${more}`;
}
