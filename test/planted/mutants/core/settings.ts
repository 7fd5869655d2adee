// Planted bugs in rules that are set and removed while the broker runs.

import type { Mutant } from '../../mutant.ts';

const CHANGES = 'src/core/rule-changes.ts';
const CHANGES_TEST = 'test/core/rule-changes.test.ts';
const LOG_TEST = 'test/log/settings.test.ts';
const UNREAD = 'is in force, read from where its index says';

export const CORE_SETTINGS: readonly Mutant[] = [
  {
    name: 'change of a rule compared while another one is under way',
    file: CHANGES,
    member: 'RuleChanges.goOn',
    find: 'this.#packed === undefined && this.#asked.length > 0',
    replace: 'this.#asked.length > 0',
    test: CHANGES_TEST,
    caughtBy: 'of two who saw the same version one wins, whoever waits for the disk',
  },
  {
    name: 'version of a rule not compared',
    file: CHANGES,
    member: 'RuleChanges.#refusalOf',
    find: 'expected === version',
    replace: 'expected !== "none"',
    test: CHANGES_TEST,
    caughtBy: 'of two who saw the same version one wins, whoever waits for the disk',
  },
  {
    name: 'rule removed before its mark is durable',
    file: CHANGES,
    member: 'RuleChanges.durable',
    find: 'settledMarks >= mark',
    replace: 'settledMarks >= 0',
    test: CHANGES_TEST,
    caughtBy: 'a batch that was sealed before the mark says nothing of it',
  },
  {
    name: 'rule that is replaced not settled',
    file: 'src/core/commit/storing.ts',
    member: 'store',
    find: 'settles ? FORM_SETTLES : 0',
    replace: '0',
    test: CHANGES_TEST,
    caughtBy: 'replacing gives another version and leaves no trace of the one before',
  },
  {
    name: 'rules in force not those of the log',
    file: 'src/core/rules-in-force.ts',
    member: 'RulesInForce.refresh',
    find: 'this.use(this.#set.table)',
    replace: 'void this.#set',
    test: CHANGES_TEST,
    caughtBy: 'a rule is in force and answered when it is durable, and not before',
  },
  {
    name: 'rules of segments that are not read forgotten',
    file: 'src/core/segments/settings.ts',
    member: 'unreadSettings',
    find: 'segment === undefined',
    replace: 'segment !== undefined',
    test: LOG_TEST,
    caughtBy: UNREAD,
  },
  {
    name: 'rule in force after a start although it was removed',
    file: 'src/core/segments/state-builder.ts',
    member: 'StateBuilder.finished',
    find: 'settled.has(sequence)',
    replace: 'false',
    test: LOG_TEST,
    caughtBy: UNREAD,
  },
  {
    name: 'rule that cannot be read left out',
    file: 'src/log/recovery/replay.ts',
    member: 'Replay.readSettings',
    find: 'throw unreadable(position, error)',
    replace: 'return new DataView(new ArrayBuffer(256))',
    test: LOG_TEST,
    caughtBy: 'and cannot be read: nothing is served',
  },
  {
    name: 'rules of old versions looked up by numbers of new ones',
    file: 'src/core/buckets/bucket-rules.ts',
    member: 'BucketRules.#renew',
    find: 'page.words[at]! &= FLAGS_MASK',
    replace: 'page.words[at]! &= -1',
    test: 'test/core/buckets/bucket-rules.test.ts',
    caughtBy: 'more tables than there are versions: what a slot had long ago is not believed',
  },
];
