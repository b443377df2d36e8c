import { decodeText, encodeText } from '../../bytes/text.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND, type TypeId } from '../types.ts';
import { Definitions } from './c-definitions.ts';
import { writeKfuncs } from './c-kfuncs.ts';
import { TypeOrder } from './c-order.ts';
import { SortedOrder } from './c-sort.ts';
import { DeclarationWriter } from './c-text.ts';
import { type Columns, checkRoots, columnsOf } from './columns.ts';
import { literal, TextSink } from './sink.ts';
import { Work } from './work.ts';

export interface DumpCOptions {
  /** Only these types and what they need, in this order; all if left out. */
  readonly roots?: readonly TypeId[] | undefined;
  /** In the order of ids, as bpftool's `unsorted`; roots are never sorted. */
  readonly unsorted?: boolean | undefined;
}

export interface TypeDeclarationOptions {
  /** Name of the variable or member that is declared; none if left out. */
  readonly name?: string | undefined;
  /** Tabs in front of the lines of a body, from the second one on; 0 if left out. */
  readonly indent?: number | undefined;
  /** Leave out `const`, `volatile`, `restrict` and type tags. */
  readonly stripModifiers?: boolean | undefined;
}

const header = literal(`#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

`);

const footer = literal(`#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
`);

/** The parts of a dump, and what they share. */
class CWriter {
  readonly sink: TextSink;
  readonly declarations: DeclarationWriter;
  readonly #columns: Columns;
  readonly #work: Work;
  readonly #definitions: Definitions;
  #lazyOrder: TypeOrder | undefined;

  /** `expectedBytes` of text are made room for; 0 if it is taken away piece by piece. */
  constructor(btf: Btf, expectedBytes: number) {
    const columns = columnsOf(btf);
    const work = new Work(columns);
    const sink = new TextSink(columns, expectedBytes);
    this.#columns = columns;
    this.#work = work;
    this.sink = sink;
    this.declarations = new DeclarationWriter(columns, sink, work, expectedBytes > 0);
    this.#definitions = new Definitions(columns, sink, work, this.declarations);
  }

  /** Takes away what was written so far. */
  restart(): void {
    this.sink.restart();
    this.#work.restart();
  }

  /** Not made for declarations alone, which it would cost a look at every type. */
  get #order(): TypeOrder {
    this.#lazyOrder ??= new TypeOrder(this.#columns, this.#work);
    return this.#lazyOrder;
  }

  define(root: number): void {
    const order = this.#order;
    order.order(root);
    const { queue, count } = order;
    for (let i = 0; i < count; i++) this.#definitions.define(queue[i] as number);
  }

  defineAll(): void {
    const { kinds, count } = this.#columns;
    // Nearly half of vmlinux are functions, which define nothing.
    for (let id = 1; id < count; id++) if (kinds[id] !== BTF_KIND.FUNC) this.define(id);
  }

  defineSorted(): void {
    const order = this.#order;
    const sorter = new SortedOrder(this.#columns, this.#work);
    const ids = sorter.sortRanked();
    for (let i = 0; i < ids.length; i++) this.define(ids[i] as number);
    for (const id of sorter.sortRest(order.states)) this.define(id);
  }

  kfuncs(): void {
    writeKfuncs(this.#columns, this.sink, this.#work, this.declarations);
  }
}

/**
 * Turns types of one BTF into C, some at a time: what one call has defined, a later one
 * leaves out. The text is that of libbpf's `btf_dump`, byte for byte.
 *
 * {@link BpfError} for types that C cannot express (structs that contain themselves, kinds
 * that are not known), and for damaged BTF whose text would have no end; a dump that has
 * failed must not be used again.
 *
 * @example
 * ```ts
 * const dump = new CDump(btf);
 * console.log(dump.define(id) + dump.declare(id, { name: 'value' }));
 * ```
 */
export class CDump {
  readonly #btf: Btf;
  readonly #writer: CWriter;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#writer = new CWriter(btf, 0);
  }

  /** Definitions of a type and of all that it needs, as far as they were not given before. */
  define(id: TypeId): string {
    return this.#take(id, () => this.#writer.define(id));
  }

  /** A declaration, as `struct task_struct *name`; types without a name are written out. */
  declare(id: TypeId, options: TypeDeclarationOptions = {}): string {
    const { name = '', indent = 0, stripModifiers = false } = options;
    const form = { stripModifiers, skipBodies: false };
    const { declarations } = this.#writer;
    return this.#take(id, () => declarations.declare(id, encodeText(name), indent, form));
  }

  /**
   * The type as it stands in a cast: modifiers and the bodies of types without a name are
   * left out.
   */
  cast(id: TypeId): string {
    const form = { stripModifiers: true, skipBodies: true };
    const { declarations } = this.#writer;
    return this.#take(id, () => declarations.declare(id, new Uint8Array(), 0, form));
  }

  /** What `write` adds to the text, which is empty before. */
  #take(id: TypeId, write: () => void): string {
    checkRoots(this.#btf, [id]);
    this.#writer.restart();
    write();
    return this.#writer.sink.toString();
  }
}

/**
 * A BTF as a C header, byte for byte as `bpftool btf dump file … format c` (7.8) makes it.
 * Given several files, bpftool merges them into one BTF first. Errors as those of {@link CDump}.
 *
 * Measured on vmlinux of Linux 6.18 (5.5 MB, 2.8 MB of C) with Node 20: 30 ms unsorted, 38 ms
 * sorted (libbpf 1.7, unsorted, into memory: 38 ms); 160 and 215 ms as the first call of a
 * process. Node 26: 27 and 34 ms; 105 and 145 ms.
 */
export function dumpC(btf: Btf, options: DumpCOptions = {}): string {
  return decodeText(dumpCBytes(btf, options));
}

/** {@link dumpC} as bytes, for files: names that are not UTF-8 stay what they are. */
export function dumpCBytes(btf: Btf, options: DumpCOptions = {}): Uint8Array {
  const { roots, unsorted = false } = options;
  if (roots !== undefined) checkRoots(btf, roots);
  // The text of vmlinux is half as long as its BTF.
  const writer = new CWriter(btf, roots === undefined ? Math.max(1, btf.bytes.length) : 1);
  writer.sink.text(header);
  if (roots !== undefined) {
    for (const id of roots) writer.define(id);
  } else {
    if (unsorted) writer.defineAll();
    else writer.defineSorted();
    writer.kfuncs();
  }
  writer.sink.text(footer);
  return writer.sink.since(0);
}

/** C definitions of one type and of all that it needs, in an order that compiles. */
export function dumpTypeC(btf: Btf, id: TypeId): string {
  return new CDump(btf).define(id);
}

/**
 * A C declaration: `emitTypeDecl(btf, id, { name: 'x' })` is `int (*x)(void *)` for a
 * pointer to such a function. For many declarations of one BTF use one {@link CDump}.
 */
export function emitTypeDecl(btf: Btf, id: TypeId, options: TypeDeclarationOptions = {}): string {
  return new CDump(btf).declare(id, options);
}
