// Deliberate faults, one small replacement each, and the test that must turn red for it. `find` is
// text of the compiled file (src/…, types gone) or of the AssemblyScript source (assembly/…), and
// stands there exactly once.

export interface Plant {
  /** What goes wrong, in a few words. */
  name: string;
  /** Source that is changed; src/… stands for the compiled file of the same path. */
  file: string;
  find: string;
  replace: string;
  /** File and name of the test that fails for it. */
  test: string;
  caughtBy: string;
}

type Row = [name: string, find: string, replace: string, test: string, caughtBy: string];

const plant = (file: string, rows: Row[]): Plant[] =>
  rows.map(([name, find, replace, test, caughtBy]) => ({
    name,
    file,
    find,
    replace,
    test,
    caughtBy,
  }));

export const PLANTS: readonly Plant[] = [
  ...plant('src/log/writer.ts', [
    [
      'ack before the sync',
      "if (mode !== 'commit') {",
      "if (mode !== 'none') {",
      'test/log/writer.test.ts',
      'commit: an append is done when its bytes are on disk, not before',
    ],
    [
      'result of the sync ignored',
      'this.#end(syncFailure, done);',
      'this.#end(undefined, done);',
      'test/log/writer.test.ts',
      'after EIO on sync no append ever succeeds again',
    ],
    [
      'failed sync tried again',
      'this.#end(syncFailure, done);',
      'if (syncFailure !== undefined) return files.sync(segment.handle, (again) => this.#end(again, done));\n this.#end(undefined, done);',
      'test/log/writer.test.ts',
      'after EIO on sync no append ever succeeds again',
    ],
    [
      'log goes on after a failed write',
      'this.#failure ??= failure;\n        done(this.#failure);',
      'done(failure);\n        else done(failure);',
      'test/log/writer.test.ts',
      'after EIO on sync no append ever succeeds again',
    ],
    [
      'position synced too early',
      'this.#written = end;\n                this.#options',
      'this.#written = end;\n                this.#synced = end;\n                this.#options',
      'test/log/writer.test.ts',
      'interval and none: an append is done when written; a sync covers what was written before it',
    ],
  ]),
  ...plant('src/log/segments.ts', [
    [
      'folder not synced after a new segment',
      '(done) => files.syncDirectory(done),',
      '',
      'test/log/segments.test.ts',
      'the next segment is made whole, and survives a power cut as soon as it is offered',
    ],
    [
      'new segment named before it is synced',
      '(done) => files.sync(spare.handle, done),',
      '',
      'test/log/segments.test.ts',
      'the next segment is made whole, and survives a power cut as soon as it is offered',
    ],
    [
      'one segment too many given back',
      'this.#list[1].base <= position',
      'this.#list[0].base <= position',
      'test/log/segments.test.ts',
      'trim gives back what ends before the position, never the open one',
    ],
    [
      'file given back while it is read',
      'if (segment.retired && segment.reads === 0)',
      'if (segment.retired)',
      'test/log/segments.test.ts',
      'a segment that is being read is given back when the last read ends',
    ],
    [
      'what is left of a failed segment in the way of the next',
      'files.remove(NEXT_NAME, () => this.#spares.make',
      '((go) => go())(() => this.#spares.make',
      'test/log/segments.test.ts',
      'a file that could not be made a segment, nor removed, is not in the way of the next',
    ],
  ]),
  ...plant('src/log/spares.ts', [
    [
      'file held ready before it is on disk',
      'this.make(fillName(number)',
      'this.make(spareName(number)',
      'test/log/segments.test.ts',
      'a file whose sync failed and that stayed is no spare for the next start',
    ],
    [
      'file used again before its name is synced',
      'files.syncDirectory(end);',
      'end(undefined);',
      'test/log/segments.test.ts',
      'no crash while a file is given back and used again leaves a name with a foreign header',
    ],
    [
      'file made ready under a name that is taken',
      'number + 2)',
      'number)',
      'test/log/segments.test.ts',
      'a file made ready never takes the name of one that is just becoming a segment',
    ],
    [
      'reserve spent on a segment',
      'return this.spendable ? this.#list.pop() : undefined;',
      'return this.#list.pop();',
      'test/log/segments.test.ts',
      'of what is given back the first file is the reserve, the next one a segment, at once',
    ],
  ]),
  ...plant('src/log/recovery.ts', [
    [
      'log cut at any bad checksum',
      'if (beyond.proof >= 0)',
      'if (false)',
      'test/log/recovery.test.ts',
      'a record copied to another place is not taken there',
    ],
    [
      'proof in later segments ignored',
      'if (found.proof >= 0)',
      'if (false)',
      'test/log/recovery.test.ts',
      'a damaged batch is proved by a commit that stands only in a later segment',
    ],
    [
      'epoch used again',
      'epoch: epoch + 1, sequence }',
      'epoch, sequence }',
      'test/log/recovery.test.ts',
      'a clean end: everything is there and nothing is cut',
    ],
    [
      'torn tail not overwritten',
      'if (tornTo > committed)',
      'if (false)',
      'test/log/recovery.test.ts',
      'a tail torn at any byte, with zeros behind: only whole batches before it are kept',
    ],
    [
      'repaired log not synced',
      'await settle((done) => files.sync(found.handle, done));',
      '',
      'test/log/recovery.test.ts',
      'a tail torn at any byte, with zeros behind: only whole batches before it are kept',
    ],
    [
      'sequences given out twice after a start',
      'if (state.sequence >= 0)',
      'if (false)',
      'test/log/recovery.test.ts',
      'a clean end: everything is there and nothing is cut',
    ],
    [
      'missing segment not noticed',
      'if (oldest.base <= start)',
      'if (oldest.base <= start || true)',
      'test/log/recovery.test.ts',
      'a used file holds nothing, whatever it held before',
    ],
    [
      'segment under another name believed',
      'if (header.base !== baseOf(name))',
      'if (false)',
      'test/log/inventory.test.ts',
      'a renamed, swapped or copied segment is refused by name',
    ],
    [
      'replaced files removed before the folder sync, at start',
      'await settle((done) => files.syncDirectory(done));\n    for (const replaced',
      'for (const replaced',
      'test/log/compact-crash.test.ts',
      'killed right after the rename, power lost at any step of the start behind it',
    ],
  ]),
  ...plant('src/log/scan.ts', [
    [
      'file that ends while it is read taken for the end of the log',
      'got < into.length && ',
      'false && ',
      'test/log/recovery.test.ts',
      'a file that gives less than it has is no end of the log, whichever read it is',
    ],
    [
      'record of an older life believed',
      'rows[at + EPOCH] >= result.epoch && ',
      '',
      'test/log/recovery.test.ts',
      'not even where they stand exactly behind the end of the newer life',
    ],
    [
      'rest of another batch believed',
      ' && here - rows[at + BACK] === result.committed',
      '',
      'test/log/recovery.test.ts',
      'the rest of a batch that another one was written over is not taken for a batch',
    ],
    [
      'batch without its commit believed',
      'if (codec.rows[at + TYPE] === RECORD_COMMIT)',
      'if (true)',
      'test/log/recovery.test.ts',
      'a clean end: everything is there and nothing is cut',
    ],
    [
      'proof of the bad batch itself counts',
      'offset - codec.rows[BACK] > bad',
      'offset - codec.rows[BACK] >= from',
      'test/log/recovery.test.ts',
      'a tail torn at any byte, with zeros behind: only whole batches before it are kept',
    ],
  ]),
  ...plant('src/log/swap.ts', [
    [
      'replaced files removed before the folder sync',
      'const { handle, bytes, replaced, spare } = made;',
      'const { handle, bytes, spare } = made;\n    await Promise.all(made.replaced.map(remove));\n    const replaced = [];',
      'test/log/compact-crash.test.ts',
      'a crash at any step of a compaction: the same log, and a broker goes on with it',
    ],
  ]),
  ...plant('src/log/compact.ts', [
    [
      'compaction forgets a record',
      'if (i === count)',
      'if (i >= count - 1)',
      'test/log/compact.test.ts',
      'any neighbours, again and again, while messages come and go: a start finds the same',
    ],
    [
      'compaction loses attempts',
      'Math.max(carried, this.#options.attemptsOf(sequence))',
      '0',
      'test/log/compact.test.ts',
      'any neighbours, again and again, while messages come and go: a start finds the same',
    ],
    [
      'compaction loses acks',
      'await this.#packRuns(RECORD_SETTLED, settled);',
      '',
      'test/log/compact.test.ts',
      'any neighbours, again and again, while messages come and go: a start finds the same',
    ],
    [
      'compacted segment not synced before it counts',
      'await settle((done) => files.sync(this.#handle, done));\n        const { into }',
      'const { into }',
      'test/log/compact-crash.test.ts',
      'a crash at any step of a compaction: the same log, and a broker goes on with it',
    ],
    [
      'compaction goes on over damage',
      'if (!found.last)',
      'if (false)',
      'test/log/compact.test.ts',
      'segments that do not verify, or are not what they are called, are refused',
    ],
  ]),
  ...plant('src/log/checkpoint.ts', [
    [
      'checkpoint without attempts',
      'const attempts = [...state.attempts.pages()];',
      'const attempts = [];',
      'test/log/checkpoint.test.ts',
      'what is written is read again',
    ],
    [
      'checksum of the checkpoint ignored',
      'if (view.getUint32(12, true) !== crc32c(bytes.subarray(CRC_FROM)))',
      'if (false)',
      'test/log/checkpoint.test.ts',
      'no truncation, no addition and no flipped bit is believed',
    ],
    [
      'checkpoint of another log believed',
      'if (view.getBigUint64(16, true) !== logId)',
      'if (false)',
      'test/log/checkpoint.test.ts',
      'neither another log nor another version is believed, whole as it may be',
    ],
  ]),
  ...plant('src/log/run.ts', [
    [
      'index of another segment believed',
      'if (header.base !== expected.base)',
      'if (false)',
      'test/log/run.test.ts',
      'another state of the segment, another log, another name: absent, and said so',
    ],
  ]),
  ...plant('src/log/index-store.ts', [
    [
      'stale checkpoint believed',
      'if (!(await this.#precedes(checkpoint, segments))) {',
      'if (false) {',
      'test/log/index-store.test.ts',
      'checkpoint and indexes of another log are not used',
    ],
  ]),
  ...plant('src/log/cold.ts', [
    [
      'bytes read back delivered without a check',
      'if (start >= bytes)\n            return;',
      'window.valid = bytes;\n        return;',
      'test/log/cold.test.ts',
      'a damaged record is refused, and its neighbours are had all the same',
    ],
    [
      'read goes on into a segment that was replaced',
      'window.stale = true;',
      'window.stale = false;',
      'test/log/cold.test.ts',
      'what is read while its segment is replaced is not believed, and asked for again',
    ],
    [
      'read ahead into the place that a delivery is made from',
      '(w.loading || w === used)',
      'w.loading',
      'test/log/cold.test.ts',
      'a window that was read ahead keeps its place when it is used, however long that took',
    ],
  ]),
  ...plant('src/core/carry.ts', [
    [
      'bytes of the inbox kept without a copy',
      'this.#small.set(bytes, this.#bytes);',
      'this.#small = bytes;',
      'test/core/producer.test.ts',
      'what is kept of a chunk that was read into the inbox does not change with the inbox',
    ],
  ]),
  ...plant('src/core/commit.ts', [
    [
      'acks before the batch is durable',
      'this.#inFlight = batch;',
      'this.#inFlight = batch;\n        this.#release(batch);\n        batch.replyTo.length = 0;',
      'test/core/commit.test.ts',
      'ends everything: no reply, no further append',
    ],
    [
      'acks sent after a failure',
      'this.#failure = failure;',
      'this.#failure = failure;\n            this.#release(batch);',
      'test/core/commit.test.ts',
      'ends everything: no reply, no further append',
    ],
    [
      'acks of consumers lost',
      'this.#codec.packMarks(type, count);',
      'this.#codec.packMarks(RECORD_RETURNED, count);',
      'test/core/commit.test.ts',
      'messages, then marks, then the commit record, each knowing its distance',
    ],
    [
      'segment filled to its last byte',
      'return this.#segmentBytes - CLOSING_BYTES;',
      'return this.#segmentBytes;',
      'test/core/commit.test.ts',
      'what is durable replays to what is owed',
    ],
    [
      'no batch carries proof',
      'const proof = this.#options.strict || ',
      'const proof = ',
      'test/core/commit.test.ts',
      'messages, then marks, then the commit record, each knowing its distance',
    ],
    [
      'segments given back before the trim is durable',
      'open.trim = this.#trim;',
      'open.trim = this.#trim;\n            this.#log.trim(this.#trim);',
      'test/core/commit.test.ts',
      'messages, then marks, then the commit record, each knowing its distance',
    ],
    [
      'bytes written over before they are on disk',
      'offset >= this.#codec.writeAt() ?',
      'offset >= 0 ?',
      'test/core/commit.test.ts',
      'hot says where a record is, and not when the ring has moved over it',
    ],
  ]),
  ...plant('src/core/consumer.ts', [
    [
      'messages of a lost consumer forgotten',
      'if (rest > 0)\n                    this.#fail(part, rest);',
      'this.unacked -= rest;',
      'test/core/broker.test.ts',
      'every bucket delivers its messages in order, once and all (round 0)',
    ],
    [
      'attempts not counted for a failure byte',
      'const attempts = part.attempts + 1;',
      'const attempts = part.attempts;',
      'test/core/consumer.test.ts',
      'a failed message is ready at once, at its old place',
    ],
    [
      'ack written as of another message',
      'commit.settle(sequence, count);',
      'commit.settle(part.sequence, count);',
      'test/sim/sim.test.ts',
      '90 worlds of crashes and faults: every promise holds in each',
    ],
    [
      'one ack too many accepted',
      'if (bytes.length > this.unacked) {',
      'if (bytes.length > this.unacked + 1) {',
      'test/core/consumer.test.ts',
      'more acks than messages',
    ],
    [
      'batch size limit off by one',
      'batchSize > limits.batchMessagesMax',
      'batchSize >= limits.batchMessagesMax',
      'test/core/consumer.test.ts',
      'nothing before it is durable',
    ],
    [
      'heartbeat counted as a message',
      "if (this.#state === 'heartbeat') {",
      "if (this.#state === 'heartbeat') {\n            this.#context.counters.ackedMessages += 1;",
      'test/core/consumer.test.ts',
      'in silence, acked like a message (4)',
    ],
    [
      'moved records not told to who holds them',
      'where(part);',
      '',
      'test/sim/sim.test.ts',
      '90 worlds of crashes and faults: every promise holds in each',
    ],
  ]),
  ...plant('src/core/returned.ts', [
    [
      'redelivery at the wrong place',
      'if (heap[above].sequence <= part.sequence)',
      'if (heap[above].sequence >= part.sequence)',
      'test/core/returned.test.ts',
      'the oldest first, in any order of pushes and pops',
    ],
  ]),
  ...plant('src/core/producer.ts', [
    [
      'batch limit off by one',
      'if (count > this.#context.limits.batchMessagesMax) {',
      'if (count >= this.#context.limits.batchMessagesMax) {',
      'test/core/producer.test.ts',
      'a batch size over the limit, up to 2^32-1',
    ],
    [
      'batch limit not checked before it is believed',
      'if (count > this.#context.limits.batchMessagesMax) {',
      'if (count > 2 ** 32) {',
      'test/core/producer.test.ts',
      'a batch size over the limit, up to 2^32-1',
    ],
    [
      'message refused on a full disk acked with 1',
      'this.#refuse(messages);\n            counters',
      'this.#left -= messages;\n            counters',
      'test/core/producer.test.ts',
      'the disk is full: refused in place, until there is room again',
    ],
    [
      'message too large acked with 1',
      'this.#refusals.fill(ACK_REFUSED, at, at + messages);',
      '',
      'test/core/producer.test.ts',
      'refusals stand in their place, also between stored ones',
    ],
    [
      'acks of a goodbye lost',
      'if (this.#ended && this.#owed === 0)\n            this.link.end();',
      'if (this.#ended)\n            this.link.end();',
      'test/core/producer.test.ts',
      'random chunks of many batches',
    ],
  ]),
  ...plant('src/core/retention.ts', [
    [
      'segment forgotten that was given back while it was compacted',
      'segment.base >= base);',
      'segment.base === base);',
      'test/log/broker.test.ts',
      'a segment is given back while it is compacted: what stays of the others is delivered',
    ],
    [
      'segment with live messages given back',
      'segments[at].live === 0 &&',
      'segments[at].live <= 1 &&',
      'test/core/retention.test.ts',
      'the oldest segment with a live message bounds what may go',
    ],
    [
      'trim runs ahead of the disk',
      'segments[at + 1].base <= durable)',
      'segments[at + 1].base <= Infinity)',
      'test/core/retention.test.ts',
      'the oldest segment with a live message bounds what may go',
    ],
  ]),
  ...plant('src/core/settled.ts', [
    [
      'acks at a page border lost',
      'const to = Math.min(first + count - number * PAGE, PAGE);',
      'const to = Math.min(first + count - number * PAGE, PAGE - 1);\n            if (to <= from) break;',
      'test/core/settled.test.ts',
      'does as a Set does',
    ],
  ]),
  ...plant('src/core/purge.ts', [
    [
      'purge takes one message too many',
      'this.#end = broker.nextSequence;',
      'this.#end = broker.nextSequence + 1;',
      'test/core/admin.test.ts',
      'leaves what consumers hold, and what comes later',
    ],
  ]),
  ...plant('src/core/broker.ts', [
    [
      'pause ignored',
      'if (this.paused.count > 0 && this.paused',
      'if (false && this.paused',
      'test/core/admin.test.ts',
      'paused comes before whoever consumes',
    ],
  ]),
  ...plant('src/core/admission.ts', [
    [
      'connection cap off by one',
      'this.#open >= this.#limits.connectionsMax',
      'this.#open > this.#limits.connectionsMax',
      'test/core/producer.test.ts',
      'connections beyond the limit are turned away',
    ],
  ]),
  ...plant('src/io/lock.ts', [
    [
      'lock not taken',
      'if (ran.status === 1) {',
      'if (ran.status === 1) {\n            return () => {};',
      'test/io/lock.test.ts',
      'a second holder is refused and told who the first one is',
    ],
  ]),
  ...plant('assembly/scan.ts', [
    [
      'length believed before its checksum',
      'if (!headerHolds(record, base + u64(offset))) {',
      'if (load<u64>(record + RECORD_POSITION_AT) != base + u64(offset)) {',
      'test/log/recovery.test.ts',
      'a tail torn at any byte, with garbage behind',
    ],
    [
      'body checksum ignored',
      'if (crc32c(record + RECORD_HEADER_BYTES, bodyBytes) != load<u32>(record + RECORD_BODY_CRC_AT)) {',
      'if (false) {',
      'test/log/recovery.test.ts',
      'a sector or page copied over another is damage or torn tail, never a new record',
    ],
    [
      'record believed at any position',
      'load<u64>(at + RECORD_POSITION_AT) == position &&',
      'position == position &&',
      'test/log/recovery.test.ts',
      'a used file holds nothing, whatever it held before',
    ],
    [
      'search for records ends one byte early',
      'offset + RECORD_HEADER_BYTES <= bytes',
      'offset + RECORD_HEADER_BYTES < bytes',
      'test/codec/plain.test.ts',
      'seek finds a header that ends with what is given, and none that is cut',
    ],
  ]),
  ...plant('assembly/crc32c.ts', [
    [
      'checksum begun with another value',
      'if (bytes < FOLD_MIN_BYTES) return ~slice(0xffffffff, at, bytes);',
      'if (bytes < FOLD_MIN_BYTES) return ~slice(0, at, bytes);',
      'test/assembly/crc32c.test.ts',
      'check values',
    ],
    [
      'last bytes left out of a long checksum',
      'at + blocks * 16, bytes % 16)',
      'at + blocks * 16, 0)',
      'test/assembly/crc32c.test.ts',
      'all lengths around those from which input is folded, at all alignments',
    ],
  ]),
  ...plant('assembly/intake.ts', [
    [
      'length of u32 read as u64',
      'const length64 =\n      wire == WIRE_U64 ?',
      'const length64 =\n      wire > 0 ?',
      'test/codec/plain.test.ts',
      'random messages, cuts, limits and counts',
    ],
    [
      'message limit off by one',
      'if (length > messageMax) {',
      'if (length >= messageMax) {',
      'test/codec/plain.test.ts',
      'random messages, cuts, limits and counts',
    ],
    [
      'largest length off by one',
      'if (length64 > MESSAGE_BYTES_CEILING) {',
      'if (length64 >= MESSAGE_BYTES_CEILING) {',
      'test/codec/plain.test.ts',
      'random messages, cuts, limits and counts',
    ],
  ]),
  ...plant('assembly/delivery.ts', [
    [
      'offset of another record used again',
      'const known = position == lastPosition && ',
      'const known = ',
      'test/codec/plain.test.ts',
      'where a delivery stopped in one record says nothing about another of its size',
    ],
    [
      'delivery frame one byte too short',
      'if (out + whole > bytesMax &&',
      'if (out + whole >= bytesMax &&',
      'test/codec/plain.test.ts',
      'every first and count of a body, at every frame limit',
    ],
  ]),
];
