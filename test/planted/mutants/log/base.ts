// Planted bugs in src/log/base and what decides about bases.

import type { Mutant } from '../../mutant.ts';

const MAKING = 'test/log/base/making.test.ts';
const BUILDING = 'test/log/base/building.test.ts';

export const LOG_BASE: readonly Mutant[] = [
  {
    name: 'stream purged before the base message counts',
    file: 'src/log/base/making.ts',
    member: 'makeBase',
    find: "options.tell(messageOf(options, name('manifest'), bytes))",
    replace: 'Promise.resolve()',
    test: MAKING,
    caughtBy: 'an owner that was replaced between two steps, and goes on, does no harm',
  },
  {
    name: 'stream purged before the manifest of its base is there',
    file: 'src/log/base/making.ts',
    member: 'makeBase',
    find: "putWhole(objects, name('manifest'), bytes)",
    replace: 'Promise.resolve()',
    test: MAKING,
    caughtBy: 'what is built of a base, and of what came behind it, is the whole log',
  },
  {
    name: 'base that ends before that of an earlier owner',
    file: 'src/log/base/making.ts',
    member: 'refuseOlder',
    find: 'each.epoch < epoch && each.sequence > end.sequence',
    replace: 'false',
    test: MAKING,
    caughtBy: 'no base ends before that of an earlier owner, if that one may count',
  },
  {
    name: 'objects of a later owner removed',
    file: 'src/log/base/making.ts',
    member: 'clean',
    find: 'of > epoch',
    replace: 'false',
    test: MAKING,
    caughtBy: 'a segment that has not changed is put once; what a base needs no more goes',
  },
  {
    name: 'segment that is written to taken for a complete one',
    file: 'src/log/base/making.ts',
    member: 'completeBefore',
    find: 'baseOf(each.name)! < base',
    replace: 'baseOf(each.name)! <= base',
    test: MAKING,
    caughtBy: 'what is built of a base, and of what came behind it, is the whole log',
  },
  {
    name: 'object of a base believed, whatever is in it',
    file: 'src/log/base/building.ts',
    member: 'fetchOne',
    find: 'got.digest !== segment.digest',
    replace: 'false',
    test: BUILDING,
    caughtBy: 'a base that is not all there, or not what was put, is refused after some tries',
  },
  {
    name: 'base taken behind which the stream does not go on',
    file: 'src/log/base/finding.ts',
    member: 'findPlan',
    find: 'manifest.sequence >= state.first',
    replace: 'true',
    test: BUILDING,
    caughtBy: 'a stream that was trimmed is read from where it begins, base or not',
  },
  {
    name: 'segments of a base not needed, by the header of the one behind them',
    file: 'src/log/base/building.ts',
    member: 'beginAt',
    find: 'start ?? base',
    replace: 'base',
    test: MAKING,
    caughtBy: 'what is built of a base, and of what came behind it, is the whole log',
  },
  {
    name: 'log of another cluster built',
    file: 'src/log/base/finding.ts',
    member: 'refuseOther',
    find: 'logId !== undefined && manifest.logId !== logId',
    replace: 'false',
    test: BUILDING,
    caughtBy: 'a base of another log, stream, layout or release is refused at once',
  },
  {
    name: 'base made of a log that is live all over',
    file: 'src/core/cluster/base-due.ts',
    member: 'isBaseDue',
    find: 'isTight && freed >= TIMES_LIVE * files && freed >= stream / 2',
    replace: 'isTight && freed >= stream / 2',
    test: 'test/core/cluster/base-due.test.ts',
    caughtBy: 'a log that is live all over stays in the stream, however full that is',
  },
];
