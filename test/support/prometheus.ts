// Prometheus text, as a test reads it; and promtool over the rules in ops/.

import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './broker.ts';

export const ALERTS = fileURLToPath(new URL('../../../ops/alerts.yml', import.meta.url));

/** Families by name; throws where the text is not in Prometheus form. */
export function families(text: string): Map<string, { kind: string; samples: string[] }> {
  const found = new Map<string, { kind: string; samples: string[] }>();
  let current = '';
  for (const line of text.trimEnd().split('\n')) {
    const help = /^# HELP (thrustmq_[a-z_]+) \S.*[.:a-z]$/.exec(line);
    const type = /^# TYPE (thrustmq_[a-z_]+) (counter|gauge|histogram)$/.exec(line);
    const sample =
      /^(thrustmq_[a-z_]+)(?:\{([a-z_]+="[^"\\]*",?)+\})? (-?\d+(\.\d+)?(e[+-]?\d+)?)$/.exec(line);
    if (help !== null) {
      assert.ok(!found.has(help[1]!), `${help[1]} comes twice`);
      current = help[1]!;
      found.set(current, { kind: '', samples: [] });
    } else if (type !== null) {
      assert.equal(type[1], current);
      found.get(current)!.kind = type[2]!;
    } else {
      assert.ok(sample !== null, `no sample: ${line}`);
      const family = found.get(current)!;
      const isHistogram = family.kind === 'histogram';
      const plain = isHistogram ? sample[1]!.replace(/_(bucket|sum|count)$/, '') : sample[1];
      assert.equal(plain, current);
      family.samples.push(line);
    }
  }
  for (const [name, { kind, samples }] of found) {
    assert.equal(kind === 'counter', name.endsWith('_total'), `${name} is a ${kind}`);
    assert.equal(new Set(samples.map((line) => line.split(' ')[0])).size, samples.length, name);
  }
  return found;
}

/** Runs `promtool VERB rules` over a file of this content; its `error` says if it is missing. */
export function promtool(verb: 'check' | 'test', content: unknown): SpawnSyncReturns<string> {
  const file = path.join(temporaryFolder(), 'rules.yml');
  fs.writeFileSync(file, JSON.stringify(content)); // JSON is YAML
  return spawnSync('promtool', [verb, 'rules', file], { encoding: 'utf8' });
}

/** What a rule of ops/ says, with the labels put in. */
export function annotationsOf(alert: string, labels: Record<string, string>) {
  const text = fs.readFileSync(ALERTS, 'utf8');
  const rule = text.slice(text.indexOf(`- alert: ${alert}\n`));
  const said = (name: string) =>
    new RegExp(` ${name}: (.*)`)
      .exec(rule)![1]!
      .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label) => labels[label] ?? '');
  return { summary: said('summary'), description: said('description') };
}
