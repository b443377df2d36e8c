import { BPF_PROG_TYPE } from '../../abi/bpf.ts';

/** Offsets of the fields of a context that say where the packet starts and ends. */
export interface PacketFields {
  readonly data: number;
  readonly dataEnd: number;
}

const xdp: PacketFields = { data: 0, dataEnd: 4 };
const skb: PacketFields = { data: 76, dataEnd: 80 };

const byType = new Map<number, PacketFields>([
  [BPF_PROG_TYPE.XDP, xdp],
  [BPF_PROG_TYPE.SCHED_CLS, skb],
  [BPF_PROG_TYPE.SCHED_ACT, skb],
]);

/** The fields for a program type, undefined where its programs may not read them. */
export function packetFields(programType: number): PacketFields | undefined {
  return byType.get(programType);
}
