// Loaded before the tests by ava.jit.config.js: VMs and test machines that are made without
// a choice of engine get the one that the environment names.
import { defaultEngine } from '../../src/vm/jit/default-engine.ts';

const wanted = process.env['TSBPF_ENGINE'];
if (wanted === 'jit' || wanted === 'interpreter' || wanted === 'auto') {
  defaultEngine.choice = wanted;
}
