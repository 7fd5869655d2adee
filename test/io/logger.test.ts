// Log lines: their form, the announcement at any level, readers that do not read, repeated kinds.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Logger, RateLimitedLog } from '../../src/io/logger.ts';
import { plainEnvironment, Running } from '../support/process.ts';

const LOGGER = fileURLToPath(new URL('../../src/io/logger.js', import.meta.url));

/** Runs a few lines of script with `handle`, a logger of the given options. */
function script(options: object, lines: string): Running {
  const text = `
    const { createLogger } = await import(${JSON.stringify(LOGGER)});
    const handle = await createLogger(${JSON.stringify(options)});
    ${lines}`;
  return new Running(process.execPath, ['--input-type=module', '-e', text], {
    env: plainEnvironment(),
  });
}

test('JSON lines: level as a word, ISO time, fields, no pid or host', async () => {
  await using run = script(
    { level: 'info', format: 'json', color: false },
    `handle.log.debug({ event: 'x' }, 'hidden');
     handle.log.warn({ event: 'a.b', n: 1 }, 'some "text"\\n\\u001b[31m');
     handle.flush();`,
  );
  const { stdout, code } = await run.ended;
  assert.equal(code, 0);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 1, stdout);
  const { time, ...rest } = JSON.parse(lines[0]);
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: 'warn', event: 'a.b', n: 1, msg: 'some "text"\n\u001b[31m' });
});

test('the announcement is written at any level, in order with the rest', async () => {
  await using run = script(
    { level: 'fatal', format: 'json', color: false },
    `handle.log.info({}, 'hidden');
     handle.announce({ event: 'ready', intake: 1 }, 'ready');
     handle.print('plain\\n');`,
  );
  const { stdout } = await run.ended;
  const [first, second] = stdout.split('\n');
  assert.equal(JSON.parse(first).event, 'ready');
  assert.equal(JSON.parse(first).level, 'info');
  assert.equal(second, 'plain');
});

test('pretty lines are for people: no JSON, colour only when asked for', async () => {
  const lines = `handle.log.info({ event: 'ready' }, 'hello'); handle.flush();`;
  await using plain = script({ level: 'info', format: 'pretty', color: false }, lines);
  await using colored = script({ level: 'info', format: 'pretty', color: true }, lines);
  const text = (await plain.ended).stdout;
  assert.match(text, /INFO.*hello/);
  assert.ok(!text.includes('\u001b['), text);
  assert.ok((await colored.ended).stdout.includes('\u001b['));
});

test('a reader that goes away does not end the program', async () => {
  await using open = new Running(process.execPath, ['--input-type=module', '-e', closing()], {
    env: plainEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await open.output(/first/);
  open.child.stdout?.destroy();
  open.child.stdin?.write('go\n');
  await open.errorOutput(/alive/);
  open.child.stdin?.end();
  assert.equal((await open.ended).code, 7);
});

function closing(): string {
  return `
    const { createLogger } = await import(${JSON.stringify(LOGGER)});
    const { log, flush } = await createLogger({ level: 'info', format: 'json', color: false });
    log.info({}, 'first');
    process.stdin.once('data', async () => {
      for (let i = 0; i < 100; i++) {
        log.info({ i }, 'into nothing');
        await new Promise(setImmediate);
      }
      flush();
      process.stderr.write('alive\\n');
    }).once('end', () => process.exit(7));`;
}

test('a reader that does not read neither blocks the program nor its exit', async () => {
  // Nothing reads standard output here: the pipe is full long before 20 MB.
  await using run = new Running(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { createLogger } = await import(${JSON.stringify(LOGGER)});
       const { log, flush } = await createLogger({ level: 'info', format: 'json', color: false });
       const pad = 'x'.repeat(1000);
       for (let i = 0; i < 20000; i++) {
         log.info({ i }, pad);
         if (i % 100 === 0) await new Promise(setImmediate);
       }
       flush();
       process.stderr.write('done ' + process.memoryUsage().rss + '\\n');
       process.exit(5);`,
    ],
    { env: plainEnvironment() },
  );
  run.child.stdout?.pause();
  const [, rss] = await run.errorOutput(/done (\d+)/);
  assert.ok(Number(rss) < 300e6, `resident ${rss}`);
  const code = await new Promise((resolve) => run.child.once('exit', resolve));
  assert.equal(code, 5);
  run.child.stdout?.destroy();
});

interface Line {
  level: string;
  fields: Record<string, unknown>;
  message: string;
}

let lines: Line[];

function recording(): Logger {
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields: { ...fields }, message });
  };
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
  };
}

beforeEach(() => {
  lines = [];
});

test('of one kind five lines in ten seconds are written, then a count of the rest', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const limited = new RateLimitedLog(recording());
    for (let i = 0; i < 12; i++) limited.write('peer.bad', { i }, 'bad bytes');
    limited.write('peer.slow', {}, 'slow', 'info');
    assert.equal(lines.length, 6);
    assert.deepEqual(lines[0], {
      level: 'warn',
      fields: { event: 'peer.bad', i: 0 },
      message: 'bad bytes',
    });
    assert.equal(lines[5].level, 'info');
    mock.timers.tick(9_999);
    assert.equal(lines.length, 6);
    mock.timers.tick(1);
    assert.equal(lines.length, 7, 'one summary, none for the kind with nothing left out');
    assert.deepEqual(lines[6].fields, { event: 'peer.bad', suppressed: 7, windowMs: 10_000 });
    limited.write('peer.bad', {}, 'a new window');
    assert.equal(lines.length, 8);
  } finally {
    mock.timers.reset();
  }
});

test('closing writes what is due and leaves no timer', () => {
  const limited = new RateLimitedLog(recording(), { linesMax: 1 });
  limited.write('k', {}, 'one');
  limited.write('k', {}, 'two');
  limited.close();
  assert.equal(lines.at(-1)?.fields.suppressed, 1);
  limited.close();
  assert.equal(lines.length, 2);
});
