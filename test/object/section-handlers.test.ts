import test from 'ava';
import { openObject } from '../../src/object/open.ts';
import type { SectionHandler } from '../../src/object/section-handlers.ts';
import { fixture } from '../support/fixtures.ts';
import { errorOf } from './support.ts';

function open(...sectionHandlers: SectionHandler[]) {
  return openObject(fixture('v3/section_names'), { sectionHandlers }).programs;
}

function types(...handlers: SectionHandler[]) {
  return Object.fromEntries(
    open(...handlers).map(({ section, type, attachTarget }) => [section, [type, attachTarget]]),
  );
}

const unknown = [undefined, undefined];

test('without handlers, unknown sections have programs without a type', (t) => {
  t.deepEqual(new Set(open().map((program) => program.type)), new Set([undefined]));
});

test('a handler of a name alone, with or without targets, of targets alone', (t) => {
  t.like(types({ name: 'sampler', type: 7 }), { sampler: [7, undefined], 'sampler/100': unknown });
  t.like(types({ name: 'sampler+', type: 7 }), {
    sampler: [7, undefined],
    'sampler/100': [7, '100'],
    'sampler/optional': [7, 'optional'],
    xdpfoo: unknown,
  });
  t.like(types({ name: 'sampler/', type: 7 }), { sampler: unknown, 'sampler/100': [7, '100'] });
  t.like(types({ name: 'my/own+', type: 7 }), { 'my/own/name': [7, 'name'] });
});

test('the first handler that matches wins, the one for everything is the last', (t) => {
  const all = { name: undefined, type: 1 };
  const result = types(all, { name: 'sampler+', type: 7 }, { name: 'sampler', type: 8 });
  t.like(result, { sampler: [7, undefined], xdpfoo: [1, undefined] });
});

test('sections that libbpf knows have no other meaning', (t) => {
  const handlers = [
    { name: 'xdp', type: 1 },
    { name: undefined, type: 2 },
  ];
  const spec = openObject(fixture('v3/xdp_counter'), { sectionHandlers: handlers });
  t.true(spec.programs.every((program) => program.type === 6));
});

test('a handler can set up each program, and gets its cookie', (t) => {
  const seen: unknown[] = [];
  const programs = open({
    name: 'sampler+',
    type: 7,
    attachType: 41,
    flags: 16,
    cookie: 9n,
    setup: (program, cookie) => {
      seen.push([program.name, cookie]);
      return program.attachTarget === '100' ? { flags: 32, autoload: false } : undefined;
    },
  });
  t.is(seen.length, 3);
  t.deepEqual(seen[0], ['in_sampler_target', 9n]);
  const find = (name: string) => programs.find((program) => program.name === name);
  t.like(find('in_sampler_target'), { type: 7, attachType: 41, flags: 32, autoload: false });
  t.like(find('in_sampler'), { type: 7, attachType: 41, flags: 16, autoload: true });
  t.like(find('in_optional'), { section: 'sampler/optional', autoload: false });
});

test('names that can match nothing are refused', (t) => {
  for (const name of ['', '+', '/', '+x']) {
    const error = errorOf(() => open({ name, type: 1 }));
    t.is(error.code, 'section-handler');
  }
});
