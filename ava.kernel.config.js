// Tests that use the machine's kernel: one file after the other, because several of them
// count the descriptors and BPF objects that exist. Run with
//   npx ava --config ava.kernel.config.js
export default {
  files: ['dist/test/kernel/**/*.test.js', 'dist/test/both/**/*.test.js'],
  concurrency: 1,
  serial: true,
  workerThreads: false,
  timeout: '2m',
};
