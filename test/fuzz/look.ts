// Looks at everything in an opened object, as the command line does: every type spelled,
// measured and decoded, every function disassembled, every report rendered. Text must be fit
// for a terminal whatever the names in the object are.
import { disassemble } from '../../src/asm/disassemble.ts';
import type { Btf } from '../../src/btf/btf.ts';
import { decodeValue } from '../../src/btf/decode.ts';
import { alignOf, sizeOf, typeToString } from '../../src/btf/graph.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { explainObject } from '../../src/cli/commands/explain.ts';
import { reportImages } from '../../src/cli/commands/image.ts';
import { inspectObject } from '../../src/cli/commands/inspect.ts';
import { renderExplain } from '../../src/cli/render/explain.ts';
import { renderImages } from '../../src/cli/render/image.ts';
import { renderInspect } from '../../src/cli/render/inspect.ts';
import { styleFor } from '../../src/cli/terminal.ts';
import { BpfError } from '../../src/errors.ts';
import { prepareObject } from '../../src/loader/prepare.ts';
import { attachTargetOf } from '../../src/object/attach-target.ts';
import { editMap } from '../../src/object/edit.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';

const plain = styleFor(false);
const value = new Uint8Array(256);

/** Runs `work`; errors must be ours and have printable words. */
export function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    if (error.message.length === 0) throw new Error('an error without words');
    checkText(error.message);
    return false;
  }
}

/** Tabs and line ends are ours; every other control character came from the object. */
function checkText(text: string): void {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const control = code < 32 ? code !== 9 && code !== 10 : code >= 127 && code < 160;
    if (control)
      throw new Error(`control character ${code} in: ${JSON.stringify(text.slice(0, 400))}`);
  }
}

function lookAtTypes(btf: Btf): void {
  for (let id = btf.firstId; id < btf.endId; id++) {
    const type = id as TypeId;
    attempt(() => typeToString(btf, type));
    attempt(() => sizeOf(btf, type));
    attempt(() => alignOf(btf, type));
    attempt(() => decodeValue(btf, type, value));
  }
}

function lookAtCode(spec: ObjectSpec): void {
  for (const { insns } of spec.functions) {
    for (let at = 0; at < insns.length; at++) attempt(() => checkText(disassemble(insns, at)));
  }
}

/** Targets taken apart, sections made longer. */
function lookAtParts(spec: ObjectSpec): void {
  for (const program of spec.programs) attempt(() => void attachTargetOf(program));
  for (const { name, valueSize, data } of spec.maps) {
    if (data !== undefined) attempt(() => void editMap(spec, name, { valueSize: valueSize + 8 }));
  }
}

/** All that can be said of an object without a backend. */
export function lookAt(spec: ObjectSpec, target: Btf): void {
  if (spec.btf !== undefined) lookAtTypes(spec.btf);
  lookAtCode(spec);
  lookAtParts(spec);
  attempt(() => checkText(renderInspect(inspectObject(spec, 'fuzzed.o'), plain)));
  attempt(() => checkText(renderExplain(explainObject(spec, 'fuzzed.o', target), plain)));
  attempt(() => {
    const { images } = prepareObject(spec, { targetBtf: target });
    checkText(renderImages(reportImages(spec, 'fuzzed.o', 'target', images), plain));
  });
}
