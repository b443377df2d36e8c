/**
 * BTF alone, for any OS and for browsers: reading, asking, building.
 *
 * @example
 * ```ts
 * import { BTF_KIND, parseBtf, sizeOf } from 'tsbpf/btf';
 *
 * const btf = parseBtf(bytes, { name: 'vmlinux' });
 * const id = btf.find('task_struct', BTF_KIND.STRUCT);
 * if (id !== undefined) console.log(sizeOf(btf, id));
 * ```
 */
export { BpfError, type BpfErrorDetail } from '../errors.ts';
export { type Btf, type ParseBtfOptions, parseBtf } from './btf.ts';
export {
  type ComparisonBudget,
  TypeComparison,
  type TypeDifference,
} from './compatible/comparison.ts';
export { typesEqual } from './compatible/equal.ts';
export { fieldsCompatible } from './compatible/fields.ts';
export {
  findMember,
  matchMember,
  namedMembers,
  typesCompatible,
  typesMatch,
} from './compatible/functions.ts';
export type { FoundMember } from './compatible/search.ts';
export { type DataSectionFix, patchDataSections } from './datasec.ts';
export { type DataValue, decodeValue } from './decode.ts';
export { appendBtf } from './dedup/append.ts';
export { type DedupOptions, type DedupResult, dedupBtf, dedupBtfWithIds } from './dedup/dedup.ts';
export { type DumpCOptions, dumpC, dumpTypeC, emitTypeDecl } from './dump/c.ts';
export { type DataOptions, type DataText, dumpTypeData } from './dump/data.ts';
export { dumpJson, type JsonType } from './dump/json.ts';
export { type DumpJsonTextOptions, dumpJsonBytes } from './dump/json-text.ts';
export { type DumpRawOptions, dumpRaw } from './dump/raw.ts';
export { BtfBuilder, type NewBtfMember, type NewBtfType } from './encode.ts';
export {
  type BtfExt,
  type ExtCoreRelocation,
  type ExtFuncInfo,
  type ExtLineInfo,
  parseBtfExt,
} from './ext.ts';
export { stringOffsets, typeIds } from './fields.ts';
export {
  type BtfContents,
  type BtfFileOptions,
  type ByteSource,
  findBtf,
  parseBtfFile,
} from './file.ts';
export {
  alignOf,
  childIds,
  essentialName,
  resolveType,
  sizeOf,
  skipModifiers,
  typeToString,
} from './graph.ts';
export {
  type DistilledBtf,
  distillBase,
} from './relocate/distill.ts';
export {
  type RelocatedBtf,
  relocateBtf,
  relocateBtfWithIds,
} from './relocate/relocate.ts';
export {
  type BtfDetail,
  type BtfDiff,
  type BtfTypeChange,
  type DiffBtfOptions,
  type DiffedType,
  type DiffMember,
  type DiffParam,
  diffBtf,
  type NamedKind,
  type TypeName,
} from './tools/diff.ts';
export { type CoreUse, minimalBtf, minimalBtfWithBases } from './tools/minimal.ts';
export {
  findSorted,
  namedStart,
  permuteBtf,
  permuteBtfExt,
  sortBtf,
  sortedIds,
} from './tools/permute.ts';
export { convertEndianness, type EncodeBtfOptions, encodeBtf } from './tools/reencode.ts';
export {
  BTF_FEATURES,
  type BtfFeature,
  sanitiseBtf,
} from './tools/sanitise.ts';
export {
  BTF_KIND,
  type BtfArray,
  type BtfComposite,
  type BtfDataSection,
  type BtfDeclTag,
  type BtfEnum,
  type BtfEnumerator,
  type BtfFloat,
  type BtfForward,
  type BtfFunc,
  type BtfFuncProto,
  type BtfInt,
  type BtfKind,
  type BtfMember,
  type BtfParam,
  type BtfRef,
  type BtfSectionVar,
  type BtfType,
  type BtfUnknown,
  type BtfVar,
  type BtfVoid,
  type Linkage,
  type TypeId,
  voidId,
} from './types.ts';
