import type { Brand } from '../bytes/brand.ts';

/** Id of a type in a BTF, counted through its bases; 0 is `void`. */
export type TypeId = Brand<number, 'BtfTypeId'>;

/** `void`, which every BTF has without storing it. */
export const voidId = 0 as TypeId;

/** `BTF_KIND_*` of <linux/btf.h>. */
export const BTF_KIND = {
  VOID: 0,
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

export type BtfKind = (typeof BTF_KIND)[keyof typeof BTF_KIND];

/** Linkage of functions and variables (`enum btf_func_linkage`, `BTF_VAR_*`). */
export type Linkage = 'static' | 'global' | 'extern';

export interface BtfVoid {
  readonly kind: 'void';
  readonly id: TypeId;
}

export interface BtfInt {
  readonly kind: 'int';
  readonly id: TypeId;
  readonly name: string;
  /** Bytes of storage: 1, 2, 4, 8 or 16. */
  readonly size: number;
  /** Value bits, at most 8 times the size. */
  readonly bits: number;
  /** Offset of the value in the storage, in bits; 0 in all but ancient BTF. */
  readonly bitOffset: number;
  readonly signed: boolean;
  readonly char: boolean;
  readonly bool: boolean;
}

/** The kinds that only refer to another type. */
export interface BtfRef {
  readonly kind: 'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict' | 'type-tag';
  readonly id: TypeId;
  /** Name of a typedef, text of a type tag, empty otherwise. */
  readonly name: string;
  readonly target: TypeId;
  /** On a type tag: it is an attribute as such (`kind_flag`), not `btf_type_tag("…")`. */
  readonly attribute: boolean;
}

export interface BtfArray {
  readonly kind: 'array';
  readonly id: TypeId;
  readonly element: TypeId;
  readonly index: TypeId;
  /** Number of elements; 0 for a flexible array. */
  readonly length: number;
}

export interface BtfMember {
  readonly name: string;
  readonly type: TypeId;
  /** From the start of the struct, in bits. */
  readonly bitOffset: number;
  /** Width in bits of a bit field, 0 for an ordinary member. */
  readonly bitSize: number;
}

export interface BtfComposite {
  readonly kind: 'struct' | 'union';
  readonly id: TypeId;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly members: readonly BtfMember[];
}

export interface BtfEnumerator {
  readonly name: string;
  /** Signed or unsigned as the enum says. */
  readonly value: bigint;
}

export interface BtfEnum {
  readonly kind: 'enum' | 'enum64';
  readonly id: TypeId;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumerator[];
}

export interface BtfForward {
  readonly kind: 'fwd';
  readonly id: TypeId;
  readonly name: string;
  readonly of: 'struct' | 'union';
}

export interface BtfParam {
  readonly name: string;
  /** 0 in the last place stands for `...`. */
  readonly type: TypeId;
}

export interface BtfFuncProto {
  readonly kind: 'func-proto';
  readonly id: TypeId;
  readonly returns: TypeId;
  readonly params: readonly BtfParam[];
}

export interface BtfFunc {
  readonly kind: 'func';
  readonly id: TypeId;
  readonly name: string;
  readonly proto: TypeId;
  readonly linkage: Linkage;
}

export interface BtfVar {
  readonly kind: 'var';
  readonly id: TypeId;
  readonly name: string;
  readonly type: TypeId;
  readonly linkage: Linkage;
}

export interface BtfSectionVar {
  readonly type: TypeId;
  /** In bytes from the start of the section. */
  readonly offset: number;
  readonly size: number;
}

export interface BtfDataSection {
  readonly kind: 'datasec';
  readonly id: TypeId;
  readonly name: string;
  /** In bytes; 0 where clang left it to the loader. */
  readonly size: number;
  readonly vars: readonly BtfSectionVar[];
}

export interface BtfFloat {
  readonly kind: 'float';
  readonly id: TypeId;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
}

export interface BtfDeclTag {
  readonly kind: 'decl-tag';
  readonly id: TypeId;
  /** Text of the tag. */
  readonly name: string;
  readonly target: TypeId;
  /** Index of the member or parameter that the tag is on, -1 for the target itself. */
  readonly component: number;
  readonly attribute: boolean;
}

/**
 * A type of a kind newer than this library, which the layout section of the BTF allowed
 * to step over. Only its common part is known.
 */
export interface BtfUnknown {
  readonly kind: 'unknown';
  readonly id: TypeId;
  readonly name: string;
  /** The kind's number, above those of {@link BTF_KIND}. */
  readonly number: number;
}

/** One type, as plain data; every switch on `kind` is exhaustive. */
export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfRef
  | BtfArray
  | BtfComposite
  | BtfEnum
  | BtfForward
  | BtfFuncProto
  | BtfFunc
  | BtfVar
  | BtfDataSection
  | BtfFloat
  | BtfDeclTag
  | BtfUnknown;
