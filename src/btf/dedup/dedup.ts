import type { Btf } from '../btf.ts';
import { mapIds, mapNames } from '../places.ts';
import { type Columns, makeColumns, resolve } from './columns.ts';
import { Equivalence } from './equivalence.ts';
import { changeBtfExt } from './ext.ts';
import {
  type DedupState,
  dedupComposites,
  dedupPrimitives,
  dedupReferences,
  dedupTypedefs,
  prepare,
  resolveForwards,
} from './passes.ts';
import { StringDedup } from './strings.ts';
import { CandidateTable } from './table.ts';
import { WorkLimit } from './work.ts';
import { writeBtf } from './write.ts';

/*
 * How types are merged
 *
 * A program of many source files has the types of its headers once for each file. Each copy
 * is a graph: structs refer to their members' types, pointers to what they point to, and
 * round again. Two types are the same if they look the same and refer to the same types,
 * which as it stands is a definition in a circle. What follows is the way out of it that
 * libbpf found (btf__dedup in its src/btf.c), pass by pass; each pass relies on those before.
 *
 * 1. Strings. Equal names get equal offsets, so that names compare as numbers.
 *
 * 2. Primitives: integers, floats, enums, declarations (FWD). They refer to nothing, so they
 *    are the same if their words are. Enums have a twist: `enum e;` is an enum without
 *    enumerators, and stands for any enum of that name.
 *
 * 3. Structs and unions, the heart of it. Candidates for a struct come from a hash over all
 *    but the ids in it: name, size, members' names and offsets. Ids cannot be in it, because
 *    nothing is known of the members' types yet. For a candidate we then assume that the two
 *    are the same and look for a contradiction: both graphs are walked side by side, and in
 *    the hypothetical map each type of the old graph gets the type of the new one that it met.
 *    Types must look alike wherever they meet. Where an old type is met again, either it
 *    meets the same new type, which closes a circle and is fine, or another, which is a
 *    contradiction: within one source file a type has one id. No contradiction to the end
 *    means that the assumption may stand, for all structs that were met. Since each old type is
 *    entered once, the walk is linear in the size of the graph.
 *
 *    Compilers do not quite keep to one id for a type: now and then a file has two equal
 *    arrays, pointers or structs. So before a contradiction counts, the two new types are
 *    compared with each other outright, to a small depth.
 *
 *    Where one file defines `struct s` and another only declares it, a definition meets a
 *    declaration of its name. They count as the same, and if the whole check succeeds, the
 *    declaration stands for the definition from then on. Only on the old side are such
 *    declarations followed: an old graph may by then be put together from several files, but
 *    the new graph is from one, and there the hypothetical map must remain one new type
 *    for each old.
 *
 * 4. Typedefs, in the same way. In C every circle leads through a struct, but in Go
 *    `type F func() F` does not.
 *
 * 5. Declarations by name. Many declarations are met by no definition, because nothing else in
 *    their graphs is shared. If in all there is only one struct (or union) of the name, they
 *    stand for it; if there are several, nobody can tell which is meant.
 *
 * 6. All other references: pointers, qualifiers, arrays, prototypes, functions, tags. What
 *    they lead to is settled by now, so from the far end of each chain back, the ids in them
 *    are replaced by those that stand, and then equal words mean equal types.
 *
 * 7. What stands for itself is moved together and numbered anew, and ids are changed.
 *
 * Variables and data sections are never merged: they are places, not kinds of things.
 *
 * A split BTF is deduplicated against its base: the base's types are all candidates from the
 * start and never change. Should a graph of the base have a declaration where the new one
 * has the definition, then the two are not the same, since the base cannot be made to refer
 * to something in the BTF above it; but declarations of the name in the upper BTF are
 * resolved to that definition. The first such meeting is remembered, as libbpf does: graphs
 * that come later see the definition in the base's place, and are merged with the base's,
 * which keeps its declaration. So a second deduplication may find a little more.
 *
 * Everything happens in one array of words, `Columns`, and `canonical`, a row of ids that
 * tells what stands for each type. Walks keep their own stacks. All comparisons are counted
 * (`WorkLimit`): a hundred thousand structs that look alike would mean ten thousand million.
 */

export interface DedupOptions {
  /** The `.BTF.ext` that belongs to the BTF: its strings are kept, too. */
  readonly ext?: Uint8Array | undefined;
}

/** A BTF without duplicates, and how to get there from the old ids. */
export interface DedupResult {
  readonly btf: Btf;
  /** New id of each old id; entries for ids of the base come first. */
  readonly ids: Uint32Array;
  /** The given `.BTF.ext` with new ids and string offsets. */
  readonly ext: Uint8Array | undefined;
}

/**
 * A BTF in which each type and each string is there once (libbpf's `btf__dedup`); the given
 * one is not changed. A split BTF is left on its base, and what the base has is not repeated.
 *
 * {@link BpfError} `btf-dedup-kind` for types of a kind that only the layout section knows,
 * `btf-dedup-limit` for BTF made to keep it busy.
 *
 * @example
 * ```ts
 * const both = dedupBtf(appendBtf(parseBtf(one), parseBtf(other)));
 * ```
 */
export function dedupBtf(btf: Btf): Btf {
  return dedupBtfWithIds(btf).btf;
}

/** {@link dedupBtf}, with the map from old ids to new ones, and `.BTF.ext` taken along. */
export function dedupBtfWithIds(btf: Btf, options: DedupOptions = {}): DedupResult {
  const columns = makeColumns(btf);
  const work = new WorkLimit(btf.name, columns.words.length);
  const strings = new StringDedup(btf, work);
  const newOffset = (offset: number): number => strings.map(offset);
  const { words, at, firstId, endId } = columns;
  for (let id = firstId; id < endId; id++) {
    mapNames(words, at[id] as number, at[id + 1] as number, newOffset);
  }
  const table = new CandidateTable(endId);
  merge({ columns, table, equivalence: new Equivalence(columns, work), work });
  const ids = numberTypes(columns);
  const typeId = (id: number): number => ids[id] as number;
  const ext = options.ext && changeBtfExt(options.ext, btf, { typeId, string: newOffset });
  return {
    btf: writeBtf(btf, { words: compact(columns, ids), strings: strings.finish() }),
    ids,
    ext,
  };
}

function merge(state: DedupState): void {
  prepare(state);
  dedupPrimitives(state);
  dedupComposites(state);
  dedupTypedefs(state);
  resolveForwards(state);
  dedupReferences(state);
}

/** The new id of each type; ids of the base stay, what stands for itself is counted. */
function numberTypes({ canonical, firstId, endId }: Columns): Uint32Array {
  const ids = new Uint32Array(endId);
  let next = firstId;
  for (let id = 0; id < endId; id++) {
    if (id < firstId) ids[id] = id;
    else if (canonical[id] === id) ids[id] = next++;
  }
  for (let id = 1; id < endId; id++) ids[id] = ids[resolve(canonical, id)] as number;
  return ids;
}

/** The words of the types that stand for themselves, with the new ids in them. */
function compact({ words, at, canonical, firstId, endId }: Columns, ids: Uint32Array): Uint32Array {
  const begin = at[firstId] as number;
  let end = begin;
  for (let id = firstId; id < endId; id++) {
    if (canonical[id] !== id) continue;
    const start = at[id] as number;
    const length = (at[id + 1] as number) - start;
    words.copyWithin(end, start, start + length);
    mapIds(words, end, end + length, ids);
    end += length;
  }
  return words.subarray(begin, end);
}
