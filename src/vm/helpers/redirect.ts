import {
  BPF_F_INGRESS,
  BPF_FUNC,
  TC_ACT_REDIRECT,
  TC_ACT_SHOT,
  XDP_ABORTED,
  XDP_REDIRECT,
} from '../../abi/bpf.ts';
import type { Redirect } from '../contexts/fields.ts';
import { SkbContext } from '../contexts/skb-context.ts';
import { XdpContext } from '../contexts/xdp.ts';
import type { Run } from '../machine.ts';
import { argumentU32, argumentU64, giveNumber, type HelperEntries, misuse } from './registers.ts';

/** Smallest `struct bpf_redir_neigh`, in bytes. */
const neighbourSize = 20;

/** Sending packets elsewhere: the test run reports where to. */
export function redirectHelpers(): HelperEntries {
  return [
    [BPF_FUNC.redirect, (run) => giveNumber(run, redirect(run))],
    [
      BPF_FUNC.redirect_peer,
      (run) => giveNumber(run, redirectSkb(run, 'peer', argumentU64(run, 2) === 0)),
    ],
    [
      BPF_FUNC.redirect_neigh,
      (run) => {
        const size = argumentU32(run, 3);
        const fits = argumentU64(run, 4) === 0 && (size === 0 || size >= neighbourSize);
        giveNumber(run, redirectSkb(run, 'neighbour', fits));
      },
    ],
  ];
}

/** `bpf_redirect(ifindex, flags)`. */
function redirect(run: Run): number {
  const { context } = run;
  const flags = argumentU64(run, 2);
  if (!(context instanceof XdpContext)) {
    return redirectSkb(run, 'redirect', flags === 0 || flags === BPF_F_INGRESS);
  }
  if (flags !== 0) return XDP_ABORTED;
  context.redirect = { kind: 'redirect', ifindex: argumentU32(run, 1), flags };
  return XDP_REDIRECT;
}

function redirectSkb(run: Run, kind: Redirect['kind'], valid: boolean): number {
  const { context } = run;
  if (!(context instanceof SkbContext)) throw misuse(run, 1, 'this program type cannot redirect');
  if (!valid) return TC_ACT_SHOT;
  const flags = kind === 'redirect' ? argumentU32(run, 2) : 0;
  context.skb.redirect = { kind, ifindex: argumentU32(run, 1), flags };
  return TC_ACT_REDIRECT;
}
