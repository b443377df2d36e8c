// Every test of this folder that runs programs does so on both engines.

import type { LoweredProgram } from '../../../src/vm/engine/program.ts';
import { accelerate, type EngineChoice } from '../../../src/vm/jit/jit.ts';
import { TestMachine } from '../engine/machine.ts';

/** The engines that must not be told apart. */
export const engines = ['interpreter', 'jit'] as const;

/** Makes an engine run a program that a test machine has prepared. */
export function runningOn(engine: EngineChoice, program: LoweredProgram): LoweredProgram {
  accelerate(program, engine);
  return program;
}

/** A machine for each engine, made alike, so that addresses are the same. */
export function machines(): readonly (readonly [EngineChoice, TestMachine])[] {
  return engines.map((engine) => [engine, new TestMachine()]);
}
