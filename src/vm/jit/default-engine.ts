import type { EngineChoice } from './jit.ts';

/** The engine of VMs that are made without a choice. Tests set it, to run whole suites on either. */
export const defaultEngine: { choice: EngineChoice } = { choice: 'auto' };
