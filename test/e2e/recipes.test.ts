// The recipes, as they are written: one broker with all of their rules, and each program of them
// says what stands below it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hasPython } from '../clients/python.ts';
import type { BrokerProcess } from '../support/broker.ts';
import { assertConsole, assertPython, guideBroker, readGuide } from '../support/guide.ts';

const { text, blocks } = readGuide('rules.md');
const recipes = text.split(/^## /m).flatMap((part) => {
  const [title] = part.split('\n', 1);
  return /^\d+\. /.test(title!) ? [{ title: title!, part }] : [];
});

let broker: BrokerProcess;

before(async () => {
  broker = await guideBroker(blocks);
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

test('there are ten, each with a rule and a program', () => {
  assert.deepEqual(
    recipes.map(({ title }) => Number.parseInt(title, 10)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
  const kinds = recipes.map(({ part }) =>
    [...part.matchAll(/^```(\w+)$/gm)].map(([, kind]) => kind),
  );
  for (const [i, each] of kinds.entries())
    assert.match(each.join(' '), /^toml (console|python text)$/, recipes[i]!.title);
});

for (const { title, part } of recipes) {
  const of = (kind: string) => part.match(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\`$`, 'ms'))?.[1];
  const [shell, program] = [of('console'), of('python')];
  const needs = program !== undefined || shell?.includes('python3');
  const skip = needs && !hasPython && 'python3 is missing';
  test(`recipe ${title}`, { skip, timeout: 60_000 }, async () => {
    if (shell !== undefined) assertConsole(broker, shell);
    if (program !== undefined) await assertPython(broker, program, of('text')!);
  });
}
