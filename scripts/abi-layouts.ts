// Layouts of the kernel's attribute, info and context structs, for src/abi/layouts.ts.
//
// clang compiles a C file that mentions each struct, with BTF; bpftool prints that BTF as
// JSON, and every offset and size is taken from there. Nothing is counted by hand.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authoritiesRoot } from './paths.ts';

/** What bpftool prints for one type; only the members that are read here. */
interface JsonType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly type_id?: number;
  readonly nr_elems?: number;
  readonly encoding?: string;
  readonly members?: readonly JsonMember[];
}

interface JsonMember {
  readonly name: string;
  readonly type_id: number;
  readonly bits_offset: number;
  readonly bitfield_size?: number;
}

interface Field {
  readonly offset: number;
  readonly size: number;
  readonly kind: string;
  /** First bit and width of a bit field, counted in its storage of `size` bytes. */
  readonly bits?: readonly [number, number];
}

/**
 * Which part of `union bpf_attr` a command reads: a named member, or the nameless struct
 * that holds the field named in `has`.
 */
const commands: readonly (readonly [string, { member: string } | { has: string }])[] = [
  ['MAP_CREATE', { has: 'map_type' }],
  ['MAP_LOOKUP_ELEM', { has: 'next_key' }],
  ['MAP_UPDATE_ELEM', { has: 'next_key' }],
  ['MAP_DELETE_ELEM', { has: 'next_key' }],
  ['MAP_GET_NEXT_KEY', { has: 'next_key' }],
  ['PROG_LOAD', { has: 'prog_type' }],
  ['OBJ_PIN', { has: 'pathname' }],
  ['OBJ_GET', { has: 'pathname' }],
  ['PROG_ATTACH', { has: 'attach_bpf_fd' }],
  ['PROG_DETACH', { has: 'attach_bpf_fd' }],
  ['PROG_TEST_RUN', { member: 'test' }],
  ['PROG_GET_NEXT_ID', { has: 'next_id' }],
  ['MAP_GET_NEXT_ID', { has: 'next_id' }],
  ['PROG_GET_FD_BY_ID', { has: 'next_id' }],
  ['MAP_GET_FD_BY_ID', { has: 'next_id' }],
  ['OBJ_GET_INFO_BY_FD', { member: 'info' }],
  ['PROG_QUERY', { member: 'query' }],
  ['RAW_TRACEPOINT_OPEN', { member: 'raw_tracepoint' }],
  ['BTF_LOAD', { has: 'btf_log_level' }],
  ['BTF_GET_FD_BY_ID', { has: 'next_id' }],
  ['TASK_FD_QUERY', { member: 'task_fd_query' }],
  ['MAP_LOOKUP_AND_DELETE_ELEM', { has: 'next_key' }],
  ['MAP_FREEZE', { has: 'next_key' }],
  ['BTF_GET_NEXT_ID', { has: 'next_id' }],
  ['MAP_LOOKUP_BATCH', { member: 'batch' }],
  ['MAP_LOOKUP_AND_DELETE_BATCH', { member: 'batch' }],
  ['MAP_UPDATE_BATCH', { member: 'batch' }],
  ['MAP_DELETE_BATCH', { member: 'batch' }],
  ['LINK_CREATE', { member: 'link_create' }],
  ['LINK_UPDATE', { member: 'link_update' }],
  ['LINK_GET_FD_BY_ID', { has: 'next_id' }],
  ['LINK_GET_NEXT_ID', { has: 'next_id' }],
  ['ENABLE_STATS', { member: 'enable_stats' }],
  ['ITER_CREATE', { member: 'iter_create' }],
  ['LINK_DETACH', { member: 'link_detach' }],
  ['PROG_BIND_MAP', { member: 'prog_bind_map' }],
  ['TOKEN_CREATE', { member: 'token_create' }],
  ['PROG_STREAM_READ_BY_FD', { member: 'prog_stream_read' }],
  ['PROG_ASSOC_STRUCT_OPS', { member: 'prog_assoc_struct_ops' }],
];

/** Structs that user space exchanges with the kernel, and contexts of programs. */
const structs = [
  'bpf_map_info',
  'bpf_prog_info',
  'bpf_btf_info',
  'bpf_link_info',
  'bpf_func_info',
  'bpf_line_info',
  'bpf_core_relo',
  'bpf_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_dynptr',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
  'bpf_stack_build_id',
  'bpf_devmap_val',
  'bpf_cpumap_val',
  'xdp_md',
  '__sk_buff',
  'bpf_tunnel_key',
  'bpf_xfrm_state',
  'bpf_sock',
  'bpf_tcp_sock',
  'bpf_sock_tuple',
  'sk_msg_md',
  'sk_reuseport_md',
  'bpf_sock_addr',
  'bpf_sock_ops',
  'bpf_perf_event_value',
  'bpf_cgroup_dev_ctx',
  'bpf_raw_tracepoint_args',
  'bpf_fib_lookup',
  'bpf_redir_neigh',
  'bpf_flow_keys',
  'bpf_sysctl',
  'bpf_sockopt',
  'bpf_pidns_info',
  'bpf_sk_lookup',
  'btf_header',
] as const;

function dumpTypes(): readonly JsonType[] {
  const dir = mkdtempSync(join(tmpdir(), 'tsbpf-layouts-'));
  try {
    const source = join(dir, 'layouts.c');
    const object = join(dir, 'layouts.o');
    const globals = structs.map((name) => `struct ${name} v_${name};`);
    writeFileSync(
      source,
      '#include <linux/bpf.h>\n#include <linux/btf.h>\n' +
        `union bpf_attr v_bpf_attr;\n${globals.join('\n')}\n`,
    );
    const include = join(authoritiesRoot, 'usr/include');
    const system = ['-isystem', include, '-isystem', join(include, 'x86_64-linux-gnu')];
    execFileSync('clang-19', [
      ...['-g', '-O0', '-nostdinc', '-target', 'bpf', ...system],
      ...['-c', source, '-o', object],
    ]);
    const bpftool = join(authoritiesRoot, '../run');
    const json = execFileSync(bpftool, ['bpftool', '-j', 'btf', 'dump', 'file', object], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    return (JSON.parse(json) as { types: readonly JsonType[] }).types;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

class Layouts {
  readonly #types: ReadonlyMap<number, JsonType>;
  readonly #byName: ReadonlyMap<string, JsonType>;

  constructor(types: readonly JsonType[]) {
    this.#types = new Map(types.map((type) => [type.id, type]));
    const records = types.filter((type) => type.kind === 'STRUCT' || type.kind === 'UNION');
    this.#byName = new Map(records.map((type) => [type.name, type]));
  }

  named(name: string): JsonType {
    const type = this.#byName.get(name);
    if (type === undefined) throw new Error(`no struct or union ${name} in the headers`);
    return type;
  }

  attributes(where: { member: string } | { has: string }): JsonType {
    for (const member of this.named('bpf_attr').members ?? []) {
      const type = this.#resolve(member.type_id);
      if ('member' in where ? member.name === where.member : this.#holds(member, where.has)) {
        return type;
      }
    }
    throw new Error(`union bpf_attr has no part with ${JSON.stringify(where)}`);
  }

  /** Every leaf, nameless members flattened, named inner structs as `outer.inner`. */
  fields(type: JsonType, base = 0, prefix = ''): readonly (readonly [string, Field])[] {
    return (type.members ?? []).flatMap((member) => {
      const inner = this.#resolve(member.type_id);
      const nameless = member.name === '(anon)';
      const composite = inner.kind === 'STRUCT' || inner.kind === 'UNION';
      if (!composite) {
        return nameless ? [] : [[prefix + member.name, this.#leaf(member, inner, base)] as const];
      }
      const at = base + member.bits_offset / 8;
      return this.fields(inner, at, nameless ? prefix : `${prefix}${member.name}.`);
    });
  }

  #holds(member: JsonMember, field: string): boolean {
    if (member.name !== '(anon)') return false;
    return this.fields(this.#resolve(member.type_id)).some(([name]) => name === field);
  }

  #leaf(member: JsonMember, type: JsonType, base: number): Field {
    const size = this.#size(type);
    const bitSize = member.bitfield_size ?? 0;
    if (bitSize !== 0) {
      const storage = Math.floor(member.bits_offset / (8 * size)) * size;
      const first = member.bits_offset - 8 * storage;
      return { offset: base + storage, size, kind: 'bits', bits: [first, bitSize] };
    }
    return { offset: base + member.bits_offset / 8, size, kind: this.#kind(type, size) };
  }

  #kind(type: JsonType, size: number): string {
    if (type.kind === 'ARRAY') return 'bytes';
    const signed = type.kind === 'INT' && type.encoding === 'SIGNED';
    return `${signed ? 's' : 'u'}${8 * size}`;
  }

  #size(type: JsonType): number {
    if (type.kind === 'PTR') return 8;
    if (type.kind === 'ARRAY') {
      return this.#size(this.#resolve(type.type_id as number)) * (type.nr_elems as number);
    }
    if (type.size === undefined) throw new Error(`a ${type.kind} without a size`);
    return type.size;
  }

  /** Through typedefs and qualifiers. */
  #resolve(id: number): JsonType {
    const type = this.#types.get(id);
    if (type === undefined) throw new Error(`BTF has no type ${id}`);
    const through = ['TYPEDEF', 'CONST', 'VOLATILE', 'TYPE_TAG'].includes(type.kind);
    return through ? this.#resolve(type.type_id as number) : type;
  }
}

function printLayout(layouts: Layouts, type: JsonType, indent: string): string {
  const rows = layouts.fields(type).map(([name, field]) => {
    const key = /^\w+$/.test(name) ? name : `'${name}'`;
    const bits = field.bits === undefined ? '' : `, bits: [${field.bits.join(', ')}]`;
    return `${indent}    ${key}: { offset: ${field.offset}, size: ${field.size}, kind: '${field.kind}'${bits} },`;
  });
  return `{\n${indent}  size: ${type.size},\n${indent}  fields: {\n${rows.join('\n')}\n${indent}  },\n${indent}}`;
}

const heading = `// Generated by scripts/generate-abi.ts from the uapi headers of linux-libc-dev; do not edit.
// Offsets and sizes are what clang-19 lays out for a 64-bit target; every architecture that
// has bpf() lays these structs out alike. Kernel spelling is kept.

/** A scalar or a byte array; \`bits\` is first bit and width in a storage of \`size\` bytes. */
export interface FieldLayout {
  /** In bytes from the start of the struct. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  readonly kind: 'u8' | 'u16' | 'u32' | 'u64' | 's8' | 's16' | 's32' | 's64' | 'bytes' | 'bits';
  readonly bits?: readonly [number, number];
}

/** A struct as flat fields: those of nameless members directly, of named ones as \`outer.inner\`. */
export interface StructLayout {
  /** In bytes. */
  readonly size: number;
  readonly fields: { readonly [name: string]: FieldLayout };
}
`;

/** The text of src/abi/layouts.ts. */
export function generateLayouts(): string {
  const layouts = new Layouts(dumpTypes());
  const shapes = new Map<JsonType, string>();
  const out = [heading];
  for (const [command, where] of commands) {
    const type = layouts.attributes(where);
    if (shapes.has(type)) continue;
    const name = `attr_${command.toLowerCase()}`;
    shapes.set(type, name);
    out.push(`const ${name} = ${printLayout(layouts, type, '')} as const;\n`);
  }
  out.push('/** The part of `union bpf_attr` that each command of bpf() reads. */');
  out.push('export const BPF_ATTR = {');
  for (const [command, where] of commands) {
    out.push(`  ${command}: ${shapes.get(layouts.attributes(where))},`);
  }
  out.push('} as const satisfies { readonly [command: string]: StructLayout };\n');
  out.push('/** Structs that user space and programs exchange with the kernel. */');
  out.push('export const STRUCTS = {');
  for (const name of structs) {
    out.push(`  ${name}: ${printLayout(layouts, layouts.named(name), '  ')},`);
  }
  out.push('} as const satisfies { readonly [name: string]: StructLayout };\n');
  return out.join('\n');
}
