import test from 'ava';
import { type AttachTarget, attachTargetOf } from '../../src/object/attach-target.ts';
import { matchSection } from '../../src/object/section-rules.ts';
import { errorOf } from './support.ts';

function parse(section: string): AttachTarget {
  return attachTargetOf({ section, attachTarget: matchSection(section)?.target });
}

const none = { kind: 'none' } as const;
const probe = { kind: 'uprobe', binary: '/bin/a', function: 'f', offset: 0n, returns: false };

const cases: readonly (readonly [string, unknown])[] = [
  ['xdp', none],
  ['kprobe', none],
  ['tc/ingress', none],
  ['kprobe/do_exit', { kind: 'kprobe', function: 'do_exit', offset: 0n, returns: false }],
  ['kprobe/do_exit+0x10', { kind: 'kprobe', function: 'do_exit', offset: 16n, returns: false }],
  ['kprobe/do_exit+010', { kind: 'kprobe', function: 'do_exit', offset: 8n, returns: false }],
  ['kprobe/a.isra.0+8', { kind: 'kprobe', function: 'a.isra.0', offset: 8n, returns: false }],
  // What is no number is passed over.
  ['kprobe/f+x', { kind: 'kprobe', function: 'f', offset: 0n, returns: false }],
  ['kretprobe/f', { kind: 'kprobe', function: 'f', offset: 0n, returns: true }],
  ['kprobe.multi/tcp_*', { kind: 'kprobe-multi', pattern: 'tcp_*', form: 'entry' }],
  ['kretprobe.multi/?cp', { kind: 'kprobe-multi', pattern: '?cp', form: 'return' }],
  ['kprobe.session/f', { kind: 'kprobe-multi', pattern: 'f', form: 'session' }],
  ['ksyscall/openat', { kind: 'syscall', name: 'openat', returns: false }],
  ['kretsyscall/openat', { kind: 'syscall', name: 'openat', returns: true }],
  ['uprobe//bin/a:f', probe],
  ['uprobe.s//bin/a:f+0x4', { ...probe, offset: 4n }],
  ['uretprobe//bin/a:f', { ...probe, returns: true }],
  [
    'uprobe/libc.so.6:malloc@GLIBC_2.2',
    { ...probe, binary: 'libc.so.6', function: 'malloc@GLIBC_2.2' },
  ],
  // Symbols of C++ and Rust.
  ['uprobe//bin/a:operator+', { ...probe, function: 'operator+' }],
  ['uprobe//bin/a:ns::f+1', { ...probe, function: 'ns::f', offset: 1n }],
  [`uprobe//bin/a:f+${'9'.repeat(100_000)}`, { ...probe, function: `f+${'9'.repeat(100_000)}` }],
  [
    'uprobe.multi//bin/a:f*',
    { kind: 'uprobe-multi', binary: '/bin/a', pattern: 'f*', form: 'entry' },
  ],
  ['uretprobe.multi.s//b:f', { kind: 'uprobe-multi', binary: '/b', pattern: 'f', form: 'return' }],
  ['uprobe.session//b:f', { kind: 'uprobe-multi', binary: '/b', pattern: 'f', form: 'session' }],
  ['usdt//bin/a:p:n', { kind: 'usdt', binary: '/bin/a', provider: 'p', name: 'n' }],
  ['tp/syscalls/sys_enter', { kind: 'tracepoint', category: 'syscalls', name: 'sys_enter' }],
  ['tracepoint.s/a/b/c', { kind: 'tracepoint', category: 'a', name: 'b/c' }],
  ['raw_tp/sys_enter', { kind: 'raw-tracepoint', name: 'sys_enter' }],
  ['raw_tracepoint.w/x', { kind: 'raw-tracepoint', name: 'x' }],
  ['tp_btf/x', { kind: 'btf', of: 'tracepoint', name: 'x', module: undefined }],
  ['fentry/f', { kind: 'btf', of: 'function', name: 'f', module: undefined }],
  ['fexit.s/nf_nat:f', { kind: 'btf', of: 'function', name: 'f', module: 'nf_nat' }],
  ['fmod_ret/f', { kind: 'btf', of: 'function', name: 'f', module: undefined }],
  ['fsession/f', { kind: 'btf', of: 'function', name: 'f', module: undefined }],
  [
    'lsm_cgroup/socket_bind',
    { kind: 'btf', of: 'lsm-hook', name: 'socket_bind', module: undefined },
  ],
  ['iter/task', { kind: 'btf', of: 'iterator', name: 'task', module: undefined }],
  ['fentry.multi/tcp_*', { kind: 'btf-multi', pattern: 'tcp_*' }],
  ['freplace/f', { kind: 'extension', function: 'f' }],
  ['struct_ops.s/init', { kind: 'struct-ops', member: 'init' }],
];

for (const [section, expected] of cases) {
  test(`target of ${section.slice(0, 60)}`, (t) => {
    t.deepEqual(parse(section), expected as AttachTarget);
  });
}

test('sections with handlers of their own keep their targets', (t) => {
  t.deepEqual(attachTargetOf({ section: 'mine/a', attachTarget: 'a' }), {
    kind: 'custom',
    target: 'a',
  });
});

const refused: readonly (readonly [string, RegExp])[] = [
  ['kprobe/', /names no function of the kernel/],
  ['kprobe/+8', /names no function of the kernel/],
  ['kretprobe/f+8', /gives an offset \(8\)/],
  ['kprobe.multi/', /names no function of the kernel/],
  ['uprobe//bin/a', /names no function; write SEC\("uprobe/],
  ['uprobe/:f', /names no function/],
  ['uprobe//bin/a:', /after the colon/],
  ['uretprobe//bin/a:f+4', /gives an offset \(4\)/],
  ['usdt//bin/a:p', /names no probe/],
  ['usdt/::', /names no probe/],
  ['tp/sys_enter', /names no tracepoint/],
];

for (const [section, message] of refused) {
  test(`refused target: ${section}`, (t) => {
    const error = errorOf(() => parse(section));
    t.is(error.code, 'attach-target');
    t.regex(error.message, message);
    t.true(error.message.includes(`'${section}'`));
  });
}
