// Every invalid input through every command: an error in one line, or a report where the
// command does not get as far as the damage.
import test from 'ava';
import { type InvalidEntry, invalidEntries } from '../support/fixtures.ts';
import { parseLine, printableText, tsbpf } from './support.ts';

const packet = '00'.repeat(64);

const commands: readonly {
  readonly words: readonly string[];
  readonly more: readonly string[];
  /** The stages whose errors this command must find. */
  readonly finds: readonly InvalidEntry['stage'][];
}[] = [
  { words: ['inspect'], more: [], finds: ['open'] },
  { words: ['explain'], more: [], finds: ['open'] },
  { words: ['object', 'image'], more: [], finds: ['open'] },
  { words: ['run'], more: ['--packet', packet], finds: ['open', 'load', 'run'] },
];

/** An endless loop takes the whole budget of instructions, which other tests look at. */
const slow = new Set(['endless_loop.o']);

for (const { file, damage, stage } of invalidEntries()) {
  test(`${file}: ${damage}`, async (t) => {
    const path = `fixtures/invalid/${file}`;
    for (const { words, more, finds } of commands) {
      if (words[0] === 'run' && slow.has(file)) continue;
      const text = await tsbpf(...words, path, ...more);
      const json = await tsbpf(...words, path, ...more, '-j');
      t.is(json.status, text.status);
      if (finds.includes(stage)) t.is(text.status, 1, `${words.join(' ')}: ${text.err}`);
      if (text.status === 0) continue;
      t.deepEqual({ out: text.out, err: json.err }, { out: '', err: '' });
      t.regex(text.err, /^Error: [^\n]{20,}\n$/);
      t.regex(text.err, printableText);
      t.notRegex(text.err, /TypeError|RangeError|undefined is|not a function/);
      const { error } = parseLine(t, json.out) as { readonly error: string };
      t.is(text.err, `Error: ${error}\n`);
    }
  });
}
