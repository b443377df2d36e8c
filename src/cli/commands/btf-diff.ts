import type { Btf } from '../../btf/btf.ts';
import { essentialName } from '../../btf/graph.ts';
import type {
  BtfDetail,
  BtfDiff,
  DiffedType,
  DiffMember,
  NamedKind,
  TypeName,
} from '../../btf/tools/diff.ts';
import { diffBtf, namedKind } from '../../btf/tools/diff.ts';
import type { TypeId } from '../../btf/types.ts';
import type { ObjectSpec } from '../../object/spec.ts';
import { planCore } from '../../relocs/core/index.ts';
import { readTypes } from '../backends.ts';
import { openObjectFile } from '../input.ts';
import type { Json } from '../json.ts';
import { renderDiff } from '../render/btf-diff.ts';
import { type CommandContext, printReport } from '../terminal.ts';

/** Exit statuses of `tsbpf btf diff`, those of diff(1). */
export const diffStatus = { same: 0, different: 1, trouble: 2 } as const;

/** What `tsbpf btf diff` prints. */
export type DiffReport = {
  readonly old: string;
  readonly new: string;
  readonly removed: readonly DiffedReport[];
  readonly added: readonly DiffedReport[];
  readonly changed: readonly {
    readonly kind: NamedKind;
    readonly name: string;
    readonly old_id: number;
    readonly new_id: number;
    readonly details: readonly DetailReport[];
  }[];
};

export type DiffedReport = {
  readonly kind: NamedKind;
  readonly name: string;
  readonly id: number;
};

export type MemberReport = {
  readonly name: string;
  readonly type: string;
  readonly type_id: number;
  readonly bits_offset: number;
  readonly bitfield_size: number | undefined;
  readonly size: number | undefined;
};

/** A detail of `diffBtf`, its members as reports. */
export type DetailReport = {
  readonly what: BtfDetail['what'];
  readonly [key: string]: Json | undefined;
};

/** The differences as a report, for text and JSON. */
export function diffReport(old: string, now: string, diff: BtfDiff): DiffReport {
  const listed = ({ kind, name, id }: DiffedType): DiffedReport => ({ kind, name, id });
  return {
    old,
    new: now,
    removed: diff.removed.map(listed),
    added: diff.added.map(listed),
    changed: diff.changed.map(({ kind, name, oldId, newId, details }) => ({
      kind,
      name,
      old_id: oldId,
      new_id: newId,
      details: details.map(detailReport),
    })),
  };
}

function detailReport(detail: BtfDetail): DetailReport {
  switch (detail.what) {
    case 'member-added':
    case 'member-removed':
      return { what: detail.what, member: memberReport(detail.member) };
    case 'member-changed': {
      const { what, moved, retyped, resized } = detail;
      const both = { old: memberReport(detail.old), new: memberReport(detail.new) };
      return { what, ...both, moved, retyped, resized };
    }
    case 'param-added':
    case 'param-removed':
      return { what: detail.what, index: detail.index, param: { ...detail.param } };
    case 'param-changed':
      return { ...detail, old: { ...detail.old }, new: { ...detail.new } };
    default:
      return { ...detail };
  }
}

function memberReport({ name, type, typeId, bitOffset, bitSize, size }: DiffMember): MemberReport {
  const bitfield_size = bitSize === 0 ? undefined : bitSize;
  return { name, type, type_id: typeId, bits_offset: bitOffset, bitfield_size, size };
}

/**
 * The types that an object's CO-RE relocations look at: those that they name, and in either
 * BTF those that they come through. Names of types that neither has are among them.
 */
export function touchedTypes(spec: ObjectSpec, targets: readonly Btf[]): readonly TypeName[] {
  const touched = new Map<string, TypeName>();
  const touch = (btf: Btf, id: TypeId, nameOf: (name: string) => string): void => {
    const kind = namedKind(btf, id);
    const name = nameOf(btf.nameOf(id));
    if (kind !== undefined && name !== '') touched.set(`${kind} ${name}`, { kind, name });
  };
  const { btf: local, functions } = spec;
  if (local === undefined) return [];
  for (const target of targets) {
    for (const { result } of planCore({ local, targets: [target], functions })) {
      touch(local, result.typeId, essentialName);
      const chosen = result.candidates[result.chosen ?? -1]?.spec;
      if (chosen === undefined) continue;
      touch(target, chosen.root, String);
      for (const step of chosen.steps) touch(target, step.type, String);
    }
  }
  return [...touched.values()];
}

/** `tsbpf btf diff OLD NEW [--only-touched OBJ…]`; the exit status. */
export async function btfDiffCommand(
  [oldFile, newFile]: readonly [string, string],
  options: { readonly onlyTouched?: readonly string[] },
  context: CommandContext,
): Promise<number> {
  const a = await readTypes(oldFile);
  const b = await readTypes(newFile);
  const only = options.onlyTouched?.flatMap((file) =>
    touchedTypes(openObjectFile(file, context.log), [a, b]),
  );
  const report = diffReport(oldFile, newFile, diffBtf(a, b, only === undefined ? {} : { only }));
  printReport(context, report, renderDiff);
  const { removed, added, changed } = report;
  const count = removed.length + added.length + changed.length;
  return count === 0 ? diffStatus.same : diffStatus.different;
}
