// The committed objects, for tests.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/paths.ts';

/** Folder of objects: the levels of the instruction set, and v3 big-endian. */
export type FixtureVariant = 'v1' | 'v2' | 'v3' | 'v4' | 'be';

/** How far a program gets in the kernel; the words are explained in scripts/fixture-facts.ts. */
export type KernelUse = 'test_run' | 'load' | 'open' | 'refused';

export interface FixtureEntry {
  /** Base name of the C source. */
  readonly name: string;
  readonly programs: readonly {
    readonly name: string;
    readonly section: string;
    readonly kernel: KernelUse;
  }[];
  /** Names in section `.maps`. */
  readonly maps: readonly string[];
  readonly sha256: Readonly<Partial<Record<FixtureVariant, string>>>;
}

export interface InvalidEntry {
  /** File name below fixtures/invalid. */
  readonly file: string;
  /** What was done to it. */
  readonly damage: string;
  /** `code` of the BpfError, and the stage that must throw it. */
  readonly code: string;
  readonly stage: 'open' | 'load' | 'run';
}

/** Path of a file below fixtures/. */
export function fixturePath(path: string): string {
  return join(projectRoot, 'fixtures', path);
}

/** Bytes of an object: `fixture('v3/xdp_counter')`. */
export function fixture(path: `${FixtureVariant}/${string}`): Uint8Array {
  return new Uint8Array(readFileSync(fixturePath(`${path}.o`)));
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(fixturePath(path), 'utf8'));
}

/** Every fixture of fixtures/manifest.json. */
export function fixtureEntries(): readonly FixtureEntry[] {
  return (readJson('manifest.json') as { readonly objects: readonly FixtureEntry[] }).objects;
}

/** Every object, as paths that {@link fixture} takes, optionally of one variant only. */
export function fixturePaths(variant?: FixtureVariant): readonly `${FixtureVariant}/${string}`[] {
  return fixtureEntries().flatMap((entry) =>
    (Object.keys(entry.sha256) as FixtureVariant[])
      .filter((name) => variant === undefined || name === variant)
      .map((name) => `${name}/${entry.name}` as const),
  );
}

/** Every deliberate invalid input of fixtures/invalid/manifest.json. */
export function invalidEntries(): readonly InvalidEntry[] {
  return readJson('invalid/manifest.json') as readonly InvalidEntry[];
}

/** Bytes of an invalid input. */
export function invalidFixture(file: string): Uint8Array {
  return new Uint8Array(readFileSync(fixturePath(`invalid/${file}`)));
}
