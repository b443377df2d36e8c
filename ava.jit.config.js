// The suites that run programs in the VM, with every program compiled. Run with
//   npx ava --config ava.jit.config.js
export default {
  files: ['dist/test/vm/**/*.test.js', 'dist/test/both/**/*.test.js'],
  require: ['./dist/test/support/engine.js'],
  environmentVariables: { TSBPF_ENGINE: 'jit' },
  // The suites that use the kernel count what exists there.
  concurrency: 1,
  workerThreads: false,
  timeout: '2m',
};
