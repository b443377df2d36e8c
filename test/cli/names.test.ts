import test from 'ava';
import { BPF_ATTACH_TYPE, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { actionName, attachTypeName, mapTypeName, progTypeName } from '../../src/cli/names.ts';

test('types are spelled as bpftool spells them', (t) => {
  t.is(mapTypeName(BPF_MAP_TYPE.PERCPU_ARRAY), 'percpu_array');
  t.is(mapTypeName(BPF_MAP_TYPE.CGROUP_STORAGE), 'cgroup_storage');
  t.is(progTypeName(BPF_PROG_TYPE.SCHED_CLS), 'sched_cls');
  t.is(progTypeName(BPF_PROG_TYPE.RAW_TRACEPOINT), 'raw_tracepoint');
  t.is(attachTypeName(BPF_ATTACH_TYPE.TRACE_RAW_TP), 'trace_raw_tp');
  t.is(attachTypeName(BPF_ATTACH_TYPE.TCX_INGRESS), 'tcx_ingress');
});

test('unknown numbers stay numbers', (t) => {
  t.is(mapTypeName(999), 'type 999');
  t.is(actionName(BPF_PROG_TYPE.XDP, 77), undefined);
});

test('return values that are actions have names', (t) => {
  t.is(actionName(BPF_PROG_TYPE.XDP, 2), 'XDP_PASS');
  t.is(actionName(BPF_PROG_TYPE.SCHED_CLS, 2), 'TC_ACT_SHOT');
  t.is(actionName(BPF_PROG_TYPE.SCHED_CLS, 0xffff_ffff), 'TC_ACT_UNSPEC');
  t.is(actionName(BPF_PROG_TYPE.KPROBE, 1), undefined);
});
