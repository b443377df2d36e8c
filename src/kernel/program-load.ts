import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import { type FieldLayout, STRUCTS } from '../abi/layouts.ts';
import { encodeInsns } from '../asm/insns.ts';
import { encodeText } from '../bytes/text.ts';
import type { VerifierFailure } from '../errors/kernel.ts';
import { BpfError } from '../errors.ts';
import { type ProgramImage, sourceLineAt } from '../object/image.ts';
import { Attr, hostLittleEndian, writeField } from './attr.ts';
import { errnoName, likelyCause } from './errno.ts';
import { JumpTables } from './jump-tables.ts';
import { type LoggedResult, retryWithLog } from './log.ts';
import { kernelName } from './map-types.ts';
import { allocate, copyNative, type KernelCalls, type NativeBytes } from './sys.ts';
import { describeFailure } from './verifier/failure.ts';
import { rewritePoison } from './verifier/rewrite.ts';

/** What only the backend knows about a program to load. */
export interface ProgramLoad {
  readonly image: ProgramImage;
  /** Descriptor of the map with an index, for the slots. */
  readonly mapFd: (map: number) => number;
  /** Descriptor of the object's types, if the kernel has them. */
  readonly btfFd: number | undefined;
  /** Id in vmlinux of what the program attaches to; 0 where it needs none. */
  readonly attachBtfId: number;
  /** Module whose types `attachBtfId` is in; undefined for the kernel's own. */
  readonly attachModule?: string | undefined;
  /** Descriptor of a module's types, which stays the caller's. */
  readonly moduleFd: (module: string) => number;
  /** `KERNEL_VERSION` of the running kernel, which old ones compare for kprobes. */
  readonly kernelVersion: number;
  /** Verifier log wanted even on success: 1, 2 (very long) or 4 (statistics only); 0 for none. */
  readonly logLevel: number;
}

/** Times that a load is tried which a signal interrupted (`EAGAIN`), as libbpf does. */
const attempts = 5;

/** Loads a program; gives its descriptor, and the log where one was wanted. */
export function loadProgram(
  calls: KernelCalls,
  load: ProgramLoad,
): { readonly fd: number; readonly log: string } {
  const { image } = load;
  if (image.littleEndian !== hostLittleEndian) {
    const reason = `it was compiled for ${image.littleEndian ? 'little' : 'big'}-endian machines, this one is not; run it in the VM`;
    throw new BpfError({ code: 'kernel-unsupported', what: 'program', name: image.name, reason });
  }
  using tables = new JumpTables(calls);
  const attr = programAttributes(load, tables);
  if (load.logLevel !== 0) return loadVerbosely(calls, load, attr);
  const fd = tryLoad(calls, attr);
  if (fd >= 0) return { fd, log: '' };
  return { fd: explainFailure(calls, image, attr, -fd), log: '' };
}

function loadVerbosely(
  calls: KernelCalls,
  { image, logLevel }: ProgramLoad,
  attr: Attr<'PROG_LOAD'>,
): { readonly fd: number; readonly log: string } {
  const logged = retryWithLog((buffer) => tryLoad(calls, withLog(attr, buffer, logLevel)));
  if (logged.result >= 0) return { fd: logged.result, log: logged.log };
  throw loadError(image, -logged.result, logged);
}

function tryLoad(calls: KernelCalls, attr: Attr<'PROG_LOAD'>): number {
  let result = calls.bpf(attr);
  for (let i = 1; i < attempts && result === -ERRNO.EAGAIN; i++) result = calls.bpf(attr);
  return result;
}

function withLog(attr: Attr<'PROG_LOAD'>, buffer: NativeBytes, level: number): typeof attr {
  return attr.point('log_buf', buffer).set('log_size', buffer.bytes.length).set('log_level', level);
}

/**
 * Loads again with a log. What failed for a moment only may succeed now: then this is the
 * program's descriptor.
 */
function explainFailure(
  calls: KernelCalls,
  image: ProgramImage,
  attr: Attr<'PROG_LOAD'>,
  number: number,
): number {
  const logged = retryWithLog((buffer) => tryLoad(calls, withLog(attr, buffer, 1)));
  if (logged.result >= 0) return logged.result;
  throw loadError(image, number, logged);
}

function loadError(image: ProgramImage, number: number, logged: LoggedResult): BpfError {
  const { truncated: logTruncated } = logged;
  const failure = describeFailure(logged.log, (insn) => sourceOf(image, insn));
  const log = rewritePoison(logged.log, image.poisoned);
  return new BpfError({
    code: 'program-load',
    program: image.name,
    section: image.section,
    errno: errnoName(number),
    number,
    cause: causeOf(image, number, failure),
    failure,
    log,
    logTruncated,
  });
}

function sourceOf(image: ProgramImage, insn: number): string | undefined {
  const line = sourceLineAt(image, insn);
  return line === undefined ? undefined : `${line.file}:${line.line}: ${line.text}`;
}

/** A poisoned instruction tells more than the verifier can; a verdict more than the errno. */
function causeOf(
  image: ProgramImage,
  number: number,
  failure: VerifierFailure | undefined,
): string | undefined {
  const poison = image.poisoned.find((entry) => entry.insn === failure?.insn);
  if (poison !== undefined) return `a relocation failed there: ${poison.reason}`;
  return failure === undefined ? likelyCause('PROG_LOAD', number) : undefined;
}

function programAttributes(load: ProgramLoad, tables: JumpTables): Attr<'PROG_LOAD'> {
  const { image } = load;
  const modules = new ModuleArray(load.moduleFd);
  const filled = filledInsns(load, tables, modules);
  const insns = copyNative(encodeInsns(filled, { littleEndian: hostLittleEndian }));
  const attr = new Attr('PROG_LOAD')
    .set('prog_type', image.type)
    .set('expected_attach_type', image.attachType)
    .set('prog_flags', image.flags)
    .set('kern_version', image.kernelVersion === 0 ? load.kernelVersion : image.kernelVersion)
    .set('attach_btf_id', load.attachBtfId)
    .text('prog_name', kernelName(image.name))
    .set('insn_cnt', image.insns.length)
    .point('insns', insns)
    .point('license', copyNative(encodeText(`${image.license}\0`)));
  if (modules.length > 0) attr.point('fd_array', modules.encode());
  if (load.attachModule !== undefined) {
    attr.set('attach_btf_obj_fd', load.moduleFd(load.attachModule));
  }
  if (load.btfFd !== undefined) addDebugInfo(attr, image, load.btfFd);
  return attr;
}

/** The instructions with this process's descriptors and the kernel's ids in their slots. */
function filledInsns(
  { image, mapFd, moduleFd }: ProgramLoad,
  tables: JumpTables,
  modules: ModuleArray,
): ProgramImage['insns'] {
  if (image.slots.length === 0) return image.insns;
  const insns = image.insns.slice();
  for (const slot of image.slots) {
    const { insn } = slot;
    switch (slot.kind) {
      case 'map':
        insns.src[insn] = BPF_PSEUDO_MAP_FD;
        insns.imm[insn] = mapFd(slot.map);
        break;
      case 'map-value':
        insns.src[insn] = BPF_PSEUDO_MAP_VALUE;
        insns.imm[insn] = mapFd(slot.map);
        insns.imm[insn + 1] = slot.offset;
        break;
      case 'kfunc':
        insns.imm[insn] = slot.type;
        insns.off[insn] = modules.indexOf(slot.module);
        break;
      case 'kernel-variable':
        insns.imm[insn] = slot.type;
        insns.imm[insn + 1] = slot.module === undefined ? 0 : moduleFd(slot.module);
        break;
      case 'jump-table':
        insns.imm[insn] = tables.descriptor(slot);
        insns.imm[insn + 1] = slot.offset;
        break;
    }
  }
  return insns;
}

/**
 * Descriptors of the modules whose functions a program calls (`fd_array`): a call has the
 * index, and 0 stands for the kernel itself.
 */
class ModuleArray {
  readonly #moduleFd: (module: string) => number;
  readonly #indices = new Map<string, number>();
  readonly #descriptors: number[] = [];

  constructor(moduleFd: (module: string) => number) {
    this.#moduleFd = moduleFd;
  }

  get length(): number {
    return this.#descriptors.length;
  }

  indexOf(module: string | undefined): number {
    if (module === undefined) return 0;
    let index = this.#indices.get(module);
    if (index === undefined) {
      index = this.#descriptors.push(this.#moduleFd(module));
      this.#indices.set(module, index);
    }
    return index;
  }

  /** 32 bits each, after the unused first. */
  encode(): NativeBytes {
    return copyNative(new Uint8Array(Int32Array.of(0, ...this.#descriptors).buffer));
  }
}

function addDebugInfo(attr: Attr<'PROG_LOAD'>, image: ProgramImage, btfFd: number): void {
  const { funcInfo, lineInfo } = image;
  attr.set('prog_btf_fd', btfFd);
  if (funcInfo.length > 0) {
    attr
      .set('func_info_rec_size', STRUCTS.bpf_func_info.size)
      .set('func_info_cnt', funcInfo.length)
      .point('func_info', encodeFuncInfo(image));
  }
  if (lineInfo.length > 0) {
    attr
      .set('line_info_rec_size', STRUCTS.bpf_line_info.size)
      .set('line_info_cnt', lineInfo.length)
      .point('line_info', encodeLineInfo(image));
  }
}

function encodeFuncInfo({ funcInfo }: ProgramImage): NativeBytes {
  const { size, fields } = STRUCTS.bpf_func_info;
  return encodeRecords(size, funcInfo.length, (put, i) => {
    const record = funcInfo[i] as ProgramImage['funcInfo'][number];
    put(fields.insn_off, record.insn);
    put(fields.type_id, record.type);
  });
}

function encodeLineInfo({ lineInfo }: ProgramImage): NativeBytes {
  const { size, fields } = STRUCTS.bpf_line_info;
  return encodeRecords(size, lineInfo.length, (put, i) => {
    const record = lineInfo[i] as ProgramImage['lineInfo'][number];
    put(fields.insn_off, record.insn);
    put(fields.file_name_off, record.fileNameOffset);
    put(fields.line_off, record.lineOffset);
    // BPF_LINE_INFO_LINE_NUM and _LINE_COL: 22 bits of line, 10 of column.
    put(fields.line_col, ((record.line << 10) | (record.column & 0x3ff)) >>> 0);
  });
}

function encodeRecords(
  size: number,
  count: number,
  fill: (put: (field: FieldLayout, value: number) => void, index: number) => void,
): NativeBytes {
  const native = allocate(size * count);
  for (let i = 0; i < count; i++) {
    const view = new DataView(native.bytes.buffer, i * size, size);
    fill((field, value) => writeField(view, field, value), i);
  }
  return native;
}
