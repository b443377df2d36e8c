/** What the verifier knows of one register or stack slot at one place of a path. */
export interface RegisterState {
  /** `R0` … `R10`, `fp-8`, …, or a word such as `refs`. */
  readonly name: string;
  /** Frame of a call chain, 0 for the entry function. */
  readonly frame: number;
  /** The state as the log writes it, after the `=`. */
  readonly text: string;
  /** `ctx`, `scalar`, `map_value_or_null`, `fp`, …; a known number is `scalar`. */
  readonly type: string;
  /** Value of a scalar that is known exactly. */
  readonly value: bigint | undefined;
  /** What stands in the parentheses: `umax` → `255`, `map` → `counts`, … */
  readonly bounds: ReadonlyMap<string, string>;
}

/**
 * Reads a state of registers, such as the part after the `;` of an instruction:
 *
 * ```
 *   R0=map_value(map=counts,ks=4,vs=8) R1_w=scalar(umin=0,umax=umax32=255) R10=fp0 fp-8=mmmm????
 *   frame1: R1=ctx() R10=fp0
 * ```
 *
 * Words that are no state (`refs`, `cb`) keep their names; text of another form gives an empty list.
 */
export function parseRegisters(text: string): readonly RegisterState[] {
  const frameMark = /^\s*frame(\d+):\s*/.exec(text);
  const frame = frameMark === null ? 0 : Number(frameMark[1]);
  const states: RegisterState[] = [];
  for (const word of splitOutsideParentheses(text.slice(frameMark?.[0].length ?? 0), ' ')) {
    const state = parseState(word, frame);
    if (state !== undefined) states.push(state);
  }
  return states;
}

/** `_w` and the like tell which parts were written or read: `R1_w`, `R2_rwD`, `fp-8_w`. */
const stateForm = /^(R\d+|fp[-+]?\d+|refs|cb|async_cb)(?:_[a-zA-Z]+)?=(.*)$/;

function parseState(word: string, frame: number): RegisterState | undefined {
  const match = stateForm.exec(word);
  if (match === null) return undefined;
  const name = match[1] as string;
  const text = match[2] as string;
  const open = text.indexOf('(');
  const head = (open < 0 ? text : text.slice(0, open)).replace(/^P(?=-?\d|scalar)/, '');
  const value = numberOf(head);
  const type = value === undefined ? typeOf(name, head) : 'scalar';
  const inside = open < 0 ? '' : text.slice(open + 1, text.endsWith(')') ? -1 : undefined);
  return { name, frame, text, type, value, bounds: parseBounds(inside) };
}

function numberOf(text: string): bigint | undefined {
  if (!/^-?(0x[0-9a-f]+|\d+)$/i.test(text)) return undefined;
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/** A stack pointer has its offset in its name: `fp-16`. Kernels before 5.18 call scalars `inv`. */
function typeOf(name: string, head: string): string {
  if (name.startsWith('fp') && /^[m0?drif]{8}$/.test(head)) return 'stack';
  if (/^fp-?\d*$/.test(head)) return 'fp';
  return head === 'inv' ? 'scalar' : head;
}

/** `umin=0,smax=umax=255,var_off=(0x0; 0xff)`: names before one value share it. */
function parseBounds(text: string): ReadonlyMap<string, string> {
  const bounds = new Map<string, string>();
  for (const part of splitOutsideParentheses(text, ',')) {
    const names = part.split('=');
    const value = names.pop() as string;
    if (names.length === 0 && value !== '') bounds.set(value, '');
    for (const name of names) bounds.set(name, value);
  }
  return bounds;
}

function splitOutsideParentheses(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const char = text[i];
    if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === undefined || (char === separator && depth <= 0)) {
      if (i > start) parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return parts;
}
