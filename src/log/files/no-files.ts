// A folder that is empty and stays so, for a log that is written without indexes.

import { crc32c } from '../../codec/crc32c.ts';
import type { Files } from './files.ts';
import { IDLE } from './throttle.ts';

const ABSENT = Object.assign(new Error('nothing is kept in this folder'), { code: 'ENOENT' });

// No callback comes before its call returned.
const soon = (call: () => void): void => queueMicrotask(call);

export const NO_FILES: Files = {
  list: (done) => soon(() => done(undefined, [])),
  open: (_name, _create, done) => soon(() => done(ABSENT, -1, 0)),
  read: (_handle, _into, _at, done) => soon(() => done(ABSENT, 0)),
  write: (_handle, _parts, _at, done) => soon(() => done(ABSENT, 0)),
  truncate: (_handle, _bytes, done) => soon(() => done(ABSENT)),
  sync: (_handle, done) => soon(() => done(ABSENT)),
  syncDirectory: (done) => soon(() => done(ABSENT)),
  rename: (_from, _to, done) => soon(() => done(ABSENT)),
  remove: (_name, done) => soon(() => done(ABSENT)),
  close: (_handle, done) => soon(() => done(undefined)),
  follow: (_name, _handle, done) => soon(() => done(ABSENT, 'nowhere')),
  followDirectory: (done) => soon(() => done(undefined, 'to it', undefined)),
  free: (done) => soon(() => done(undefined, 0)),
};

/** What FileLog.open needs for a log without indexes. */
export const WITHOUT_INDEXES = {
  indexFiles: NO_FILES,
  crc32c,
  hashSeed: 0,
  soon,
  shortDelay: soon,
  idleDelay: soon,
  foreground: IDLE,
};
