import { BpfError } from '../errors.ts';
import type { Btf } from './btf.ts';
import { BTF_KIND, type TypeId } from './types.ts';

/** New size and offsets of one DATASEC, as taken from the symbols of the object. */
export interface DataSectionFix {
  readonly id: TypeId;
  /** In bytes. */
  readonly size: number;
  /** Offset in bytes by index of the variable; those left out stay as they are. */
  readonly offsets: ReadonlyMap<number, number>;
}

/**
 * A copy of the BTF with other sizes and variable offsets in some of its data sections, and
 * nothing else changed: clang leaves both at 0 for the loader to fill in (libbpf's
 * `btf_fixup_datasec`). Ids stay the same. {@link BpfError} `btf-datasec-fix` for what is
 * not a DATASEC of this very BTF (its bases stay as they are), or a variable it lacks.
 */
export function patchDataSections(btf: Btf, fixes: readonly DataSectionFix[]): Btf {
  if (fixes.length === 0) return btf;
  const bytes = btf.bytes.slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const write = (word: number, value: number): void =>
    view.setUint32(btf.typeSection.offset + 4 * word, value, btf.littleEndian);
  for (const fix of fixes) {
    check(btf, fix);
    const at = btf.offsets[fix.id - btf.firstId] as number;
    write(at + 2, fix.size);
    // Three words for each variable: type, offset, size.
    for (const [index, offset] of fix.offsets) write(at + 3 + 3 * index + 1, offset);
  }
  return btf.withBytes(
    bytes,
    fixes.map((fix) => fix.id),
  );
}

function check(btf: Btf, { id, size, offsets }: DataSectionFix): void {
  const refuse = (problem: string): BpfError =>
    new BpfError({ code: 'btf-datasec-fix', btf: btf.name, id, problem });
  if (!btf.has(id) || id < btf.firstId) throw refuse('it is not in this BTF');
  if (btf.kindOf(id) !== BTF_KIND.DATASEC) throw refuse('it is not a DATASEC');
  if (!isU32(size)) throw refuse(`size ${size} does not fit in 32 bits`);
  const count = btf.vlenOf(id);
  for (const [index, offset] of offsets) {
    if (!(Number.isInteger(index) && index >= 0 && index < count)) {
      throw refuse(`it has ${count} variables, there is no number ${index}`);
    }
    if (!isU32(offset)) throw refuse(`offset ${offset} does not fit in 32 bits`);
  }
}

function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
