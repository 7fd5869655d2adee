// What is said before dead messages are given back, and about those that are looked at: which
// fields of the form are wrong, how many would go where and how long that takes, and how it went.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MovedMessage, REASONS, type RedriveState } from '../../src/contract/dead-messages.ts';
import {
  manyOf,
  meaningOf,
  movedWords,
  problemsOf,
  type RedriveForm,
  reasonsText,
  redriveQuery,
  redriveSentence,
  redriveWords,
} from '../../src/page/dead-words.ts';

const form = (part: Partial<RedriveForm> = {}): RedriveForm => ({
  to: '',
  limit: '',
  rate: '',
  ...part,
});

test('fields that are empty or right are sent, each under its name', () => {
  assert.deepEqual(problemsOf(form()), {});
  assert.equal(redriveQuery(form()), '');
  const full = form({ to: ' 18446744073709551615 ', limit: '10', rate: '0.5' });
  assert.deepEqual(problemsOf(full), {});
  assert.equal(redriveQuery(full), 'to=18446744073709551615&limit=10&rate=0.5');
});

test('each field that is wrong is named', () => {
  const wrong: [Partial<RedriveForm>, keyof RedriveForm][] = [
    [{ to: '18446744073709551616' }, 'to'],
    [{ to: '07' }, 'to'],
    [{ to: '-1' }, 'to'],
    [{ to: '<b>' }, 'to'],
    [{ limit: '0' }, 'limit'],
    [{ limit: '1.5' }, 'limit'],
    [{ limit: '1000000000' }, 'limit'],
    [{ rate: '0' }, 'rate'],
    [{ rate: '1e3' }, 'rate'],
    [{ rate: '0.0001' }, 'rate'],
    [{ rate: '1000001' }, 'rate'],
  ];
  for (const [part, name] of wrong)
    assert.deepEqual(Object.keys(problemsOf(form(part))), [name], JSON.stringify(part));
  assert.deepEqual(Object.keys(problemsOf(form({ to: 'x', limit: 'x', rate: 'x' }))).length, 3);
});

test('how many go where, and how long that takes, is said before', () => {
  assert.equal(
    redriveSentence(form(), 1200),
    '1,200 messages of 1,200 will be given back to the bucket in which each of them died, as fast as it goes. Their attempts begin anew.',
  );
  assert.equal(
    redriveSentence(form({ to: '8', limit: '1', rate: '0.5' }), 3),
    '1 message of 3 will be given back to bucket 8, 0.5 a second, which takes about 2 s. Their attempts begin anew.',
  );
  assert.match(redriveSentence(form({ rate: '10' }), 1200), /about 2 min\./);
  assert.equal(manyOf(form({ limit: '5000' }), 3), 3);
});

test('how it goes, and what to do where it ended early', () => {
  const state = (part: Partial<RedriveState>): RedriveState => ({
    bucket: '7',
    startedAt: '2026-01-02T03:04:05.000Z',
    moved: 2,
    done: true,
    stopped: null,
    ...part,
  });
  assert.equal(redriveWords(state({ done: false })), '2 messages given back so far');
  assert.equal(redriveWords(state({})), '2 messages given back, all that there were');
  assert.match(redriveWords(state({ stopped: 'limit' })), /as many as were asked for$/);
  assert.match(redriveWords(state({ stopped: 'cancelled' })), /ended; the others stay dead$/);
  assert.match(redriveWords(state({ stopped: 'full' })), /takes no more.*make room there/);
});

test('reasons: the most frequent first, each of the list with its meaning', () => {
  assert.equal(
    reasonsText({ expired: 1, rejected: 3, overflow: 1 }),
    'rejected 3, expired 1, overflow 1',
  );
  for (const [reason, meaning] of Object.entries(REASONS)) assert.equal(meaningOf(reason), meaning);
  assert.equal(meaningOf('toString'), undefined);
});

test('where a message was before, with the times that are known', () => {
  const nowMs = Date.parse('2026-01-02T03:04:05.000Z');
  const moved: MovedMessage = {
    reason: 'rejected',
    bucket: '7',
    line: 'live',
    sequence: '12',
    attempts: 1,
    publishedAt: '2026-01-02T03:00:05.000Z',
    movedAt: '2026-01-02T03:04:00.000Z',
  };
  assert.equal(
    movedWords(moved, nowMs),
    '#12 of bucket 7 before, 1 attempt there, published 4 min ago, died 5 s ago',
  );
  const given = { ...moved, line: 'dead', publishedAt: null, movedAt: null };
  assert.equal(movedWords(given, nowMs), '#12 of the dead of bucket 7 before, 1 attempt there');
});
