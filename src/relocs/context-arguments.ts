import { BPF_PROG_TYPE } from '../abi/bpf.ts';
import { type Btf, parseBtf } from '../btf/btf.ts';
import { BtfBuilder } from '../btf/encode.ts';
import { resolveType, skipModifiers } from '../btf/graph.ts';
import { btfMagic, shortHeaderLength } from '../btf/header.ts';
import { BTF_KIND, type BtfFuncProto, type BtfType, type TypeId } from '../btf/types.ts';
import { Writer } from '../bytes/writer.ts';
import type { ProgramImage } from '../object/image.ts';

/** What the verifier calls the context of each program type; other types have no name for it. */
const contextNames: ReadonlyMap<number, string> = new Map([
  [BPF_PROG_TYPE.CGROUP_DEVICE, 'bpf_cgroup_dev_ctx'],
  [BPF_PROG_TYPE.CGROUP_SKB, '__sk_buff'],
  [BPF_PROG_TYPE.CGROUP_SOCK, 'bpf_sock'],
  [BPF_PROG_TYPE.CGROUP_SOCK_ADDR, 'bpf_sock_addr'],
  [BPF_PROG_TYPE.CGROUP_SOCKOPT, 'bpf_sockopt'],
  [BPF_PROG_TYPE.CGROUP_SYSCTL, 'bpf_sysctl'],
  [BPF_PROG_TYPE.FLOW_DISSECTOR, '__sk_buff'],
  [BPF_PROG_TYPE.KPROBE, 'bpf_user_pt_regs_t'],
  [BPF_PROG_TYPE.LWT_IN, '__sk_buff'],
  [BPF_PROG_TYPE.LWT_OUT, '__sk_buff'],
  [BPF_PROG_TYPE.LWT_SEG6LOCAL, '__sk_buff'],
  [BPF_PROG_TYPE.LWT_XMIT, '__sk_buff'],
  [BPF_PROG_TYPE.NETFILTER, 'bpf_nf_ctx'],
  [BPF_PROG_TYPE.PERF_EVENT, 'bpf_perf_event_data'],
  [BPF_PROG_TYPE.RAW_TRACEPOINT, 'bpf_raw_tracepoint_args'],
  [BPF_PROG_TYPE.RAW_TRACEPOINT_WRITABLE, 'bpf_raw_tracepoint_args'],
  [BPF_PROG_TYPE.SCHED_ACT, '__sk_buff'],
  [BPF_PROG_TYPE.SCHED_CLS, '__sk_buff'],
  [BPF_PROG_TYPE.SK_LOOKUP, 'bpf_sk_lookup'],
  [BPF_PROG_TYPE.SK_MSG, 'sk_msg_md'],
  [BPF_PROG_TYPE.SK_REUSEPORT, 'sk_reuseport_md'],
  [BPF_PROG_TYPE.SK_SKB, '__sk_buff'],
  [BPF_PROG_TYPE.SOCK_OPS, 'bpf_sock_ops'],
  [BPF_PROG_TYPE.SOCKET_FILTER, '__sk_buff'],
  [BPF_PROG_TYPE.XDP, 'xdp_md'],
]);

/** Arguments marked `__arg_ctx`, by the FUNC that has them. */
type MarkedArguments = ReadonlyMap<TypeId, readonly number[]>;

/**
 * Makes arguments of global functions that are marked `__arg_ctx` understood by kernels before
 * 6.8, which know a context by its type's name only (libbpf's `bpf_program_fixup_func_info`):
 * a program's function records get types of their own in which the argument is a pointer to the
 * struct of that name. The types are additions to the object's, so all ids stay what they were.
 * `needed` is asked only where arguments are marked.
 */
export function fixContextArguments(
  images: readonly ProgramImage[],
  needed: () => boolean = () => true,
): readonly ProgramImage[] {
  const btf = images.find((image) => image.btf !== undefined)?.btf;
  if (btf === undefined) return images;
  const marked = markedArguments(btf);
  if (marked.size === 0 || !needed()) return images;
  const builder = new BtfBuilder({ base: btf });
  const changed = images.map((image) => new Fixup(btf, builder, image).run(marked));
  if (builder.nextId === btf.endId) return images;
  const extended = joined(btf, parseBtf(builder.finish(), { name: btf.name, base: btf }));
  return changed.map((image) => ({ ...image, btf: extended }));
}

function markedArguments(btf: Btf): MarkedArguments {
  const marked = new Map<TypeId, number[]>();
  for (let id = btf.firstId as TypeId; id < btf.endId; id = (id + 1) as TypeId) {
    if (btf.kindOf(id) !== BTF_KIND.DECL_TAG || btf.nameOf(id) !== 'arg:ctx') continue;
    const tag = btf.type(id);
    const fn = tag.kind === 'decl-tag' ? btf.type(tag.target) : undefined;
    if (tag.kind !== 'decl-tag' || fn?.kind !== 'func' || fn.linkage !== 'global') continue;
    const list = marked.get(fn.id);
    if (list === undefined) marked.set(fn.id, [tag.component]);
    else list.push(tag.component);
  }
  return marked;
}

/** The changes for one program; its pointer to the context is made once. */
class Fixup {
  readonly #btf: Btf;
  readonly #builder: BtfBuilder;
  readonly #image: ProgramImage;
  #pointer: TypeId | undefined;

  constructor(btf: Btf, builder: BtfBuilder, image: ProgramImage) {
    this.#btf = btf;
    this.#builder = builder;
    this.#image = image;
  }

  run(marked: MarkedArguments): ProgramImage {
    const image = this.#image;
    const context = contextNames.get(image.type);
    if (context === undefined) return image;
    const funcInfo = image.funcInfo.map((record) => {
      const type = this.#function(record.type, marked.get(record.type) ?? [], context);
      return type === record.type ? record : { ...record, type };
    });
    return { ...image, funcInfo };
  }

  /** A copy of the function with other arguments, or its own id where none is to be changed. */
  #function(id: TypeId, marked: readonly number[], context: string): TypeId {
    const fn = this.#btf.type(id);
    const proto = fn.kind === 'func' ? this.#btf.type(fn.proto) : undefined;
    if (fn.kind !== 'func' || proto?.kind !== 'func-proto') return id;
    const indices = marked.filter((index) => this.#needsChange(proto, index, context));
    if (indices.length === 0) return id;
    const pointer = this.#contextPointer(context);
    const params = proto.params.map((param, index) =>
      indices.includes(index) ? { ...param, type: pointer } : param,
    );
    const copy = this.#builder.add({ kind: 'func-proto', returns: proto.returns, params });
    const target = this.#builder.add({
      ...{ kind: 'func', name: fn.name, proto: copy, linkage: fn.linkage },
    });
    for (const component of indices) {
      this.#builder.add({ kind: 'decl-tag', name: 'arg:ctx', target, component });
    }
    return target;
  }

  #contextPointer(name: string): TypeId {
    if (this.#pointer !== undefined) return this.#pointer;
    const struct = this.#builder.add({ kind: 'struct', name, size: 0, members: [] });
    this.#pointer = this.#builder.add({ kind: 'ptr', target: struct });
    return this.#pointer;
  }

  /** `need_func_arg_type_fixup`. */
  #needsChange(proto: BtfFuncProto, index: number, context: string): boolean {
    const param = proto.params[index];
    const btf = this.#btf;
    const pointer = param === undefined ? undefined : btf.type(resolveType(btf, param.type));
    if (pointer?.kind !== 'ptr') return false;
    const named = btf.type(skipModifiers(btf, pointer.target));
    if (named.kind === 'typedef' && this.#isRegisters(named.name)) return false;
    const pointee = btf.type(resolveType(btf, pointer.target));
    if (pointee.kind === 'void') return true;
    if (pointee.kind === 'struct' && pointee.name === context) return false;
    return isOtherContext(this.#image.type, pointee);
  }

  /** The name that kprobes and perf events may use for their context on any architecture. */
  #isRegisters(name: string): boolean {
    const { type } = this.#image;
    const fits = type === BPF_PROG_TYPE.KPROBE || type === BPF_PROG_TYPE.PERF_EVENT;
    return fits && name === 'bpf_user_pt_regs_t';
  }
}

/** Architectures' structs behind `bpf_user_pt_regs_t`. */
const registers: ReadonlySet<string> = new Set(['pt_regs', 'user_pt_regs', 'user_regs_struct']);

/** Types that stand for the context of some program types and are changed as well. */
function isOtherContext(type: number, pointee: BtfType): boolean {
  switch (type) {
    case BPF_PROG_TYPE.KPROBE:
      return pointee.kind === 'struct' && pointee.name === 'pt_regs';
    case BPF_PROG_TYPE.PERF_EVENT:
      return pointee.kind === 'struct' && registers.has(pointee.name);
    case BPF_PROG_TYPE.RAW_TRACEPOINT:
    case BPF_PROG_TYPE.RAW_TRACEPOINT_WRITABLE:
      return pointee.kind === 'int' && pointee.size === 8;
    default:
      return false;
  }
}

/** One BTF of a base and the types that were added to it: ids and strings already go on from it. */
function joined(base: Btf, added: Btf): Btf {
  const parts = [base, added].map(({ bytes, typeSection }) =>
    bytes.subarray(typeSection.offset, typeSection.offset + typeSection.length),
  );
  const typeLength = parts.reduce((sum, part) => sum + part.length, 0);
  const strings = [base.strings.bytes, added.strings.bytes];
  const stringLength = strings.reduce((sum, part) => sum + part.length, 0);
  const out = new Writer({
    littleEndian: base.littleEndian,
    capacity: shortHeaderLength + typeLength + stringLength,
  });
  out.u16(btfMagic).u8(1).u8(0).u32(shortHeaderLength);
  out.u32(0).u32(typeLength).u32(typeLength).u32(stringLength);
  for (const part of [...parts, ...strings]) out.bytes(part);
  return parseBtf(out.finish(), { name: base.name, pointerSize: base.pointerSize });
}
