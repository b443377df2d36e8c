import { disassemble } from '../../asm/disassemble.ts';
import { encodeInsns, type Insns } from '../../asm/insns.ts';
import { toHex } from '../../bytes/hex.ts';
import { prepareObject } from '../../loader/prepare.ts';
import { isMapSlot, type ProgramImage, type Slot, sourceLineAt } from '../../object/image.ts';
import type { ObjectSpec } from '../../object/spec.ts';
import { chooseBtf } from '../backends.ts';
import { chooseProgram, openObjectFile } from '../input.ts';
import { progTypeName } from '../names.ts';
import { renderImages } from '../render/image.ts';
import { type CommandContext, printReport } from '../terminal.ts';

/** What `tsbpf object image` prints: each program as a backend gets it. */
export type ImageReport = {
  readonly file: string;
  readonly target_btf: string;
  readonly programs: readonly ImageProgram[];
};

export type ImageProgram = {
  readonly name: string;
  readonly section: string;
  readonly type: string;
  readonly insns: readonly ImageInsn[];
};

export type ImageInsn = {
  readonly index: number;
  /** Name of the function that starts here. */
  readonly function: string | undefined;
  /** C line that starts here. */
  readonly source: ImageSource | undefined;
  /** The bytes of the instruction, 16 digits, or 32 for `ld_imm64`. */
  readonly opcodes: string;
  readonly disasm: string;
  /** What the backend puts here. */
  readonly slot: string | undefined;
  /** Why a failed CO-RE relocation made it unusable; names in it are escaped. */
  readonly poisoned: string | undefined;
};

export type ImageSource = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
};

/** The report for images that were built against `targetName`. */
export function reportImages(
  spec: ObjectSpec,
  file: string,
  targetName: string,
  images: readonly ProgramImage[],
): ImageReport {
  return {
    file,
    target_btf: targetName,
    programs: images.map((image) => ({
      name: image.name,
      section: image.section,
      type: progTypeName(image.type),
      insns: reportInsns(spec, image),
    })),
  };
}

function reportInsns(spec: ObjectSpec, image: ProgramImage): readonly ImageInsn[] {
  const { insns } = image;
  const functions = new Map(image.functions.map((fn) => [fn.start as number, fn.name]));
  const slots = new Map(image.slots.map((slot) => [slot.insn as number, describeSlot(spec, slot)]));
  const poisoned = new Map(image.poisoned.map((p) => [p.insn as number, p.reason]));
  const lines = new Set(image.lineInfo.map((record) => record.insn as number));
  const out: ImageInsn[] = [];
  for (let index = 0; index < insns.length; index++) {
    const width = insns.isWide(index) ? 2 : 1;
    out.push({
      index,
      function: functions.get(index),
      source: lines.has(index) ? sourceLineAt(image, index) : undefined,
      opcodes: opcodesOf(insns, index, width, image.littleEndian),
      disasm: disassemble(insns, index),
      slot: slots.get(index),
      poisoned: poisoned.get(index),
    });
    index += width - 1;
  }
  return out;
}

function opcodesOf(insns: Insns, at: number, width: number, littleEndian: boolean): string {
  return toHex(encodeInsns(insns.slice(at, at + width), { littleEndian }));
}

function describeSlot(spec: ObjectSpec, slot: Slot): string {
  if (slot.kind === 'jump-table') return `jump table of ${slot.targets.length} entries`;
  if (!isMapSlot(slot)) return `${slot.kind} ${slot.name}`;
  const map = spec.maps[slot.map]?.name ?? `map ${slot.map}`;
  return slot.kind === 'map' ? `map ${map}` : `value of map ${map} + ${slot.offset}`;
}

/** `tsbpf object image OBJ [--btf FILE] [--program NAME]`. */
export async function imageCommand(
  file: string,
  options: { readonly btf?: string; readonly program?: string },
  context: CommandContext,
): Promise<void> {
  const spec = openObjectFile(file, context.log);
  const target = await chooseBtf(options.btf);
  const only = options.program === undefined ? undefined : chooseProgram(spec, options.program);
  const { images } = prepareObject(spec, {
    targetBtf: target,
    autoload: (program) => (only === undefined ? program.autoload : program === only),
  });
  printReport(context, reportImages(spec, file, target.name, images), renderImages);
}
