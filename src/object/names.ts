import { decodeText, encodeText } from '../bytes/text.ts';

/** Longest name that the kernel keeps, in bytes (`BPF_OBJ_NAME_LEN` less its zero byte). */
const longestName = 15;

/**
 * The name of an object as libbpf derives it: the last part of the path up to its first dot,
 * at most 15 bytes (`bpf_object__new`). Characters that no C identifier can have become
 * underscores, because the name becomes part of map names and of generated code.
 */
export function objectName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const dot = base.indexOf('.');
  return cutName(dot < 0 ? base : base.slice(0, dot)).replace(/[^A-Za-z0-9_]/gu, '_');
}

/** At most 15 bytes of a name: what the kernel takes (`libbpf_strlcpy`). */
export function cutName(name: string): string {
  const cut = name.slice(0, longestName);
  if (/^[A-Za-z0-9_.]*$/.test(cut)) return cut;
  const bytes = encodeText(cut);
  return bytes.length <= longestName ? cut : decodeText(bytes.subarray(0, longestName));
}

/**
 * The kernel's name of a data section's map (libbpf's `internal_map_name`). `.data`, `.bss`
 * and the like follow as much of the object's name as leaves room for 7 characters, even
 * where the section's name is shorter; names of custom sections (`.data.x`) stand alone.
 * Characters that the kernel refuses become underscores.
 */
export function dataMapName(object: string, section: string): string {
  const suffix = cutName(section);
  const custom = section.indexOf('.', 1) >= 0;
  const reserved = Math.min(longestName, Math.max(7, section.length));
  const prefix = custom ? '' : object.slice(0, longestName - reserved);
  return (prefix + suffix).replace(/[^A-Za-z0-9_.]/gu, '_');
}
