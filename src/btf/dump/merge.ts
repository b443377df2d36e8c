import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { appendBtf } from '../dedup/append.ts';
import { dedupBtf } from '../dedup/dedup.ts';

/**
 * Several split BTFs on one base as one, without what they share: what bpftool dumps when it
 * is given several files. One alone is given back as it is.
 *
 * {@link BpfError} `btf-build` for none, for BTF without a base (bpftool wants one, too), and
 * for different bases.
 */
export function mergeBtfs(btfs: readonly Btf[]): Btf {
  const [first, ...others] = btfs;
  if (first === undefined) throw refuse('there is nothing to merge');
  if (others.length === 0) return first;
  if (first.base === undefined) {
    throw refuse('several BTFs can only be merged on a common base: name it');
  }
  return dedupBtf(others.reduce(appendBtf, first));
}

function refuse(problem: string): BpfError {
  return new BpfError({ code: 'btf-build', problem });
}
