import { BPF_ATTACH_TYPE, BPF_FUNC, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import { STRUCTS } from '../abi/layouts.ts';
import { encodeInsns, Insns } from '../asm/insns.ts';
import { CALL, PSEUDO } from '../asm/opcodes.ts';
import type { HostFeature } from '../backend/backend.ts';
import { BtfBuilder } from '../btf/encode.ts';
import { encodeText } from '../bytes/text.ts';
import { Attr, hostLittleEndian, writeField } from './attr.ts';
import { readIfThere } from './errno.ts';
import { addressesOf } from './kallsyms.ts';
import { logText } from './log.ts';
import { allocate, copyNative, type KernelCalls } from './sys.ts';

const known = new WeakMap<KernelCalls, Map<HostFeature, boolean>>();

/** Whether the running kernel has an ability; asked once. The probes are libbpf's. */
export function hasFeature(calls: KernelCalls, feature: HostFeature): boolean {
  let answers = known.get(calls);
  if (answers === undefined) {
    answers = new Map();
    known.set(calls, answers);
  }
  const before = answers.get(feature);
  if (before !== undefined) return before;
  const answer = probes[feature](calls);
  answers.set(feature, answer);
  return answer;
}

const probes: { readonly [F in HostFeature]: (calls: KernelCalls) => boolean } = {
  cookie: (calls) =>
    loads(calls, BPF_PROG_TYPE.TRACEPOINT, [helperCall('get_attach_cookie'), exit]),
  'probe-read-kernel': (calls) => loads(calls, BPF_PROG_TYPE.TRACEPOINT, readsKernel),
  'syscall-wrapper': hasSyscallWrapper,
  'arg-ctx-tag': knowsContextTag,
  'full-range-imm64': takesLargeOffsets,
  'uprobe-multi': hasUprobeMulti,
};

/** Opcode, destination, source, offset, immediate. */
type Row = readonly [code: number, dst: number, src: number, off: number, imm: number];

const exit: Row = [0x95, 0, 0, 0, 0];

function helperCall(name: keyof typeof BPF_FUNC): Row {
  return [0x85, 0, CALL.HELPER, 0, BPF_FUNC[name]];
}

/** Reads 8 bytes from address 0 to the stack. */
const readsKernel: readonly Row[] = [
  [0xbf, 1, 10, 0, 0], // r1 = r10
  [0x07, 1, 0, 0, -8], // r1 += -8
  [0xb7, 2, 0, 0, 8], // r2 = 8
  [0xb7, 3, 0, 0, 0], // r3 = 0
  helperCall('probe_read_kernel'),
  exit,
];

function loads(calls: KernelCalls, type: number, rows: readonly Row[]): boolean {
  return succeeds(calls, programAttr(type, rows));
}

function succeeds(calls: KernelCalls, attr: Attr<'PROG_LOAD'>): boolean {
  const fd = calls.bpf(attr);
  if (fd >= 0) calls.close(fd);
  return fd >= 0;
}

function programAttr(type: number, rows: readonly Row[]): Attr<'PROG_LOAD'> {
  const insns = new Insns(rows.length);
  rows.forEach(([code, dst, src, off, imm], at) => {
    insns.code[at] = code;
    insns.dst[at] = dst;
    insns.src[at] = src;
    insns.off[at] = off;
    insns.imm[at] = imm;
  });
  return new Attr('PROG_LOAD')
    .set('prog_type', type)
    .set('insn_cnt', rows.length)
    .point('insns', copyNative(encodeInsns(insns, { littleEndian: hostLittleEndian })))
    .point('license', copyNative(encodeText('GPL\0')));
}

/** Prefix of the wrappers of system calls, by `process.arch`. */
const wrapperPrefixes: ReadonlyMap<string, string> = new Map([
  ['x64', 'x64'],
  ['arm64', 'arm64'],
  ['s390x', 's390x'],
  ['riscv64', 'riscv'],
  ['ppc64', 'powerpc64'],
]);

/**
 * Whether a kprobe on a system call finds its arguments one level deeper. libbpf tries to
 * attach one to the wrapper of bpf(2); where kprobes exist, the wrapper's name says the same.
 */
function hasSyscallWrapper(): boolean {
  const prefix = wrapperPrefixes.get(process.arch);
  if (prefix === undefined || !hasKprobes()) return false;
  const name = `__${prefix}_sys_bpf`;
  return addressesOf(readIfThere('/proc/kallsyms'), new Set([name])).has(name);
}

function hasKprobes(): boolean {
  return readIfThere('/sys/bus/event_source/devices/kprobe/type') !== '';
}

/** A global function whose `void *` argument is used as the context, thanks to its tag only. */
function knowsContextTag(calls: KernelCalls): boolean {
  const builder = new BtfBuilder({ littleEndian: hostLittleEndian });
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const pointer = builder.add({ kind: 'ptr', target: 0 as typeof int });
  const params = [{ name: 'a', type: pointer }];
  const proto = builder.add({ kind: 'func-proto', returns: int, params });
  const main = builder.add({ kind: 'func', name: 'main', proto, linkage: 'global' });
  const other = builder.add({ kind: 'func-proto', returns: int, params });
  const global = builder.add({ kind: 'func', name: 'other', proto: other, linkage: 'global' });
  builder.add({ kind: 'decl-tag', name: 'arg:ctx', target: global, component: 0 });
  const bytes = copyNative(builder.finish());
  const btfFd = calls.bpf(
    new Attr('BTF_LOAD').point('btf', bytes).set('btf_size', bytes.bytes.length),
  );
  if (btfFd < 0) return false;
  const { size, fields } = STRUCTS.bpf_func_info;
  const records = allocate(2 * size);
  const view = new DataView(records.bytes.buffer, records.bytes.byteOffset, 2 * size);
  writeField(view, fields.type_id, main);
  const second = new DataView(records.bytes.buffer, records.bytes.byteOffset + size, size);
  writeField(second, fields.insn_off, 2);
  writeField(second, fields.type_id, global);
  const rows: readonly Row[] = [
    [0x85, 0, CALL.SUBPROGRAM, 0, 1],
    exit,
    helperCall('get_func_ip'),
    exit,
  ];
  const attr = programAttr(BPF_PROG_TYPE.KPROBE, rows)
    .set('prog_btf_fd', btfFd)
    .set('func_info_rec_size', size)
    .set('func_info_cnt', 2)
    .point('func_info', records);
  const answer = succeeds(calls, attr);
  calls.close(btfFd);
  return answer;
}

/**
 * The folder `/` has no code to probe: a kernel with such links says so (`EBADF`). The first
 * ones mistook the process for a thread; those that do not refuse the process -1 (`EINVAL`).
 */
function hasUprobeMulti(calls: KernelCalls): boolean {
  const type = BPF_ATTACH_TYPE.TRACE_UPROBE_MULTI;
  const rows: readonly Row[] = [[0xb7, 0, 0, 0, 0], exit];
  const program = programAttr(BPF_PROG_TYPE.KPROBE, rows).set('expected_attach_type', type);
  const fd = calls.bpf(program);
  if (fd < 0) return false;
  const link = new Attr('LINK_CREATE')
    .set('prog_fd', fd)
    .set('target_fd', 0xffff_ffff)
    .set('attach_type', type)
    .point('uprobe_multi.path', copyNative(encodeText('/\0')))
    .point('uprobe_multi.offsets', allocate(8))
    .set('uprobe_multi.cnt', 1);
  const answers = [calls.bpf(link), calls.bpf(link.set('uprobe_multi.pid', 0xffff_ffff))];
  for (const each of [fd, ...answers]) if (each >= 0) calls.close(each);
  return answers[0] === -ERRNO.EBADF && answers[1] === -ERRNO.EINVAL;
}

/**
 * A map's value is addressed 1 GiB behind its start: no kernel takes that of so small a map,
 * but those that limit offsets say so in other words (`direct value offset of … is not
 * allowed`) than those that look at the map.
 */
function takesLargeOffsets(calls: KernelCalls): boolean {
  const map = calls.bpf(
    new Attr('MAP_CREATE')
      .set('map_type', BPF_MAP_TYPE.ARRAY)
      .set('key_size', 4)
      .set('value_size', 1)
      .set('max_entries', 1),
  );
  if (map < 0) return false;
  const rows: readonly Row[] = [[0x18, 1, PSEUDO.MAP_VALUE, 0, map], [0, 0, 0, 0, 1 << 30], exit];
  const log = allocate(4096);
  const attr = programAttr(BPF_PROG_TYPE.SOCKET_FILTER, rows)
    .point('log_buf', log)
    .set('log_size', log.bytes.length)
    .set('log_level', 1);
  const result = calls.bpf(attr);
  if (result >= 0) calls.close(result);
  calls.close(map);
  const text = logText(log.bytes);
  return result >= 0 || (text !== '' && !text.includes('direct value offset of'));
}
