// Answers an operator's commands from the broker's state: reads are bounded and walk in slices,
// changes are durable before they are answered. Everything comes in through `ask`.

import { KIND_DEAD, KIND_LIVE } from '../../../assembly/layout-placed.ts';
import {
  type BackupState,
  type BucketInfo,
  type Command,
  isId,
  LINES,
  type Line,
  type Outcome,
  PEEK_MAX,
  ROWS_MAX,
} from '../../contract/commands.ts';
import { REASONS_MAX } from '../../contract/dead-messages.ts';
import type { Broker } from '../broker.ts';
import type { LogPorts } from '../ports/log.ts';
import { wordsOf } from '../text/ids.ts';
import { BucketRows } from './bucket-rows.ts';
import { DeadInventory } from './dead-inventory.ts';
import { countReasons } from './dead-reasons.ts';
import { cursorText, pageOf, parseCursor } from './inventory.ts';
import { closeConnection, connectionsPage, segmentsPage } from './pages.ts';
import { peek } from './peek.ts';
import { Purges } from './purges.ts';
import { Redrives } from './redrives.ts';
import { bounded, notAnId, refuse } from './refusals.ts';
import { RuleCommands } from './rule-commands.ts';
import { rulesOf } from './rules.ts';

/** Consumers listed for one bucket at most. */
const CONSUMERS_MAX = 100;

/** Makes backups of the log, one at a time. */
export interface BackupMaker {
  readonly state: BackupState | null;
  begin(into: string, done: Done): void;
  cancel(): BackupState | null;
}

export interface AdminOptions {
  broker: Broker;
  log: Pick<LogPorts, 'space' | 'reader' | 'index'>;
  backups?: BackupMaker;
  wallMs: () => number;
  base64: (bytes: Uint8Array) => string;
  /** Calls back in a later turn of the event loop. */
  soon: (call: () => void) => void;
  /** Calls back after so many ms. */
  after: (ms: number, call: () => void) => void;
}

type Done = (outcome: Outcome) => void;
type BackupCommand = Extract<Command, { kind: 'backup' | 'backup-state' | 'backup-cancel' }>;

export class Admin {
  readonly #options: AdminOptions;
  readonly #rows: BucketRows;
  readonly #purges: Purges;
  readonly #rules: RuleCommands;
  readonly #redrives: Redrives;
  readonly #inventory: DeadInventory;

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#inventory = new DeadInventory({ ...options, index: options.log.index });
    this.#rows = new BucketRows(options.broker, options.wallMs, this.#inventory);
    this.#purges = new Purges({ ...options, index: options.log.index });
    this.#rules = new RuleCommands(options);
    this.#redrives = new Redrives(options);
  }

  /** Carries out a command. `done` comes once, in this turn or a later one. */
  ask(command: Command, done: Done): void {
    this.#options.broker.stir();
    const outcome = this.#options.broker.closing
      ? refuse('stopping', 'the broker is stopping: ask again when it has started')
      : this.#carryOut(command, done);
    if (outcome !== undefined) done(outcome);
  }

  // Undefined: the outcome comes later, through `done`.
  #carryOut(command: Command, done: Done): Outcome | undefined {
    if ('line' in command && command.line !== undefined && !LINES.includes(command.line))
      return refuse('bad-request', `there are lines ${LINES.join(' and ')}`);
    switch (command.kind) {
      case 'buckets':
        return this.#buckets(command, done);
      case 'bucket':
        return this.#bucket(command.id, command.line);
      case 'peek':
        return this.#peek(command, done);
      case 'connections':
        return connectionsPage(this.#options.broker, command);
      case 'segments':
        return segmentsPage(this.#options.broker, this.#options.log.space, command);
      case 'rules':
      case 'rule':
      case 'rule-keys':
      case 'bucket-rule':
      case 'rule-set':
      case 'rule-remove':
        return this.#rules.carryOut(command, done);
      case 'close':
        return closeConnection(this.#options.broker, command.connection);
      case 'pause':
        return this.#pause(command.id, true, done);
      case 'resume':
        return this.#pause(command.id, false, done);
      case 'purge':
        return isId(command.id) ? this.#purge(command.id, command.line) : notAnId(command.id);
      case 'redrive':
        return isId(command.id) ? this.#redrive(command) : notAnId(command.id);
      case 'redrive-cancel':
        return isId(command.id) ? this.#redrives.cancel(command.id) : notAnId(command.id);
      case 'dead-reasons':
        return this.#reasons(command, done);
      case 'backup':
      case 'backup-state':
      case 'backup-cancel':
        return this.#backup(command, done);
      default:
        return refuse('bad-request', 'there is no such command');
    }
  }

  get #table() {
    return this.#options.broker.buckets.rules.table;
  }

  // Slot of a bucket's line; 0: it is not known, which is what an empty one is.
  #slotOf(id: string, line?: Line): number {
    const [low, high] = wordsOf(id);
    return this.#options.broker.buckets.find(low, high, kindOf(line));
  }

  // The same for a line that may have messages on disk although it is not known.
  #openSlot(id: string, line: Line | undefined): number {
    const { buckets } = this.#options.broker;
    const slot = this.#slotOf(id, line);
    if (slot !== 0 || !buckets.isPartial) return slot;
    const [low, high] = wordsOf(id);
    return buckets.open(low, high, kindOf(line));
  }

  #purge(id: string, line: Line = 'live'): Outcome {
    return this.#purges.begin(id, line, () => this.#openSlot(id, line));
  }

  #redrive(command: Extract<Command, { kind: 'redrive' }>): Outcome {
    return this.#redrives.begin(command, () => this.#openSlot(command.id, 'dead'));
  }

  #buckets(command: Extract<Command, { kind: 'buckets' }>, done: Done): Outcome | undefined {
    const { broker, soon } = this.#options;
    const { sort, cursor, prefix, line } = command;
    const kind = kindOf(line);
    if (prefix !== undefined && !/^\d{1,20}$/.test(prefix))
      return refuse('bad-request', `"${prefix}" is no beginning of an id: give digits`);
    const place = cursor === undefined ? undefined : parseCursor(sort, cursor);
    if (cursor !== undefined && place === undefined)
      return refuse('bad-request', `the cursor is not one of a list by ${sort}: start again`);
    const limit = bounded(command.limit, ROWS_MAX);
    const page = () =>
      pageOf(broker, { sort, limit, cursor: place, prefix, kind }, soon, (slots, next) => {
        const rows = this.#rows.rows(slots);
        const { isPartial: more } = broker.buckets;
        const count = broker.buckets.countOf(kind);
        const end = next === undefined ? null : cursorText(sort, next);
        done({ ok: true, result: { buckets: rows, cursor: end, count, more } });
      });
    if (kind === KIND_DEAD) this.#inventory.look(page);
    else page();
    return undefined;
  }

  #bucket(id: string, line?: Line): Outcome {
    const { broker } = this.#options;
    if (!isId(id)) return notAnId(id);
    const slot = this.#openSlot(id, line);
    this.#inventory.look(() => {}); // what it finds is there when somebody asks again
    const purge = this.#purges.stateOf(id, line ?? 'live') ?? null;
    const consumers = this.#rows.consumersBySlot().get(slot) ?? [];
    const row = slot === 0 ? this.#rows.empty(id, kindOf(line)) : this.#rows.rows([slot])[0]!;
    const share = broker.buckets.subscription(slot);
    const suspects = messagesIn(share?.suspects?.slices ?? []);
    const info: BucketInfo = {
      ...row,
      returned: messagesIn(share?.requeued.slices ?? []) + suspects,
      suspects,
      rules: rulesOf(this.#table, id),
      consumersList: consumers.slice(0, CONSUMERS_MAX).map((each) => this.#rows.consumer(each)),
      purge: purge === null ? null : { ...purge },
      ...(line === 'dead' ? { redrive: this.#redrives.stateOf(id) ?? null } : {}),
    };
    return { ok: true, result: info };
  }

  #peek(command: Extract<Command, { kind: 'peek' }>, done: Done): Outcome | undefined {
    const { id, limit, bytes, line, after } = command;
    const { broker, log, base64, soon } = this.#options;
    if (!isId(id)) return notAnId(id);
    const slot = this.#openSlot(id, line);
    if (slot === 0) return { ok: true, result: { id, messages: [], cut: false } };
    const most = bounded(limit, PEEK_MAX);
    const end: Parameters<typeof peek>[0]['done'] = (messages, cut, failure) => {
      if (failure !== undefined && messages.length === 0)
        done(refuse('failed', `the messages of bucket ${id} cannot be read: ${failure}`));
      else done({ ok: true, result: { id, messages, cut: cut || failure !== undefined } });
    };
    const from = after === undefined ? 0 : Number(after) + 1;
    const asked = { limit: most, bytes: Math.max(0, bytes), from };
    peek({ broker, log, slot, ...asked, base64, soon, done: end });
    return undefined;
  }

  #reasons(command: Extract<Command, { kind: 'dead-reasons' }>, done: Done): Outcome | undefined {
    const { id } = command;
    if (!isId(id)) return notAnId(id);
    const slot = this.#openSlot(id, 'dead');
    if (slot === 0) return { ok: true, result: { id, looked: 0, more: false, reasons: {} } };
    const limit = bounded(command.limit, REASONS_MAX);
    countReasons({ ...this.#options, slot, limit }, (failure, counted) => {
      const detail = `the dead of bucket ${id} cannot be read: ${failure}`;
      done(counted === undefined ? refuse('failed', detail) : { ok: true, result: counted });
    });
    return undefined;
  }

  #pause(id: string, wanted: boolean, done: Done): Outcome | undefined {
    if (!isId(id)) return notAnId(id);
    this.#options.broker.pauses.ask(id, wanted, done);
    return undefined;
  }

  #backup(command: BackupCommand, done: Done): Outcome | undefined {
    const { backups, broker } = this.#options;
    if (backups === undefined) return refuse('failed', 'this broker makes no backups');
    if (command.kind === 'backup') {
      broker.notices.notice('info', 'admin.backup', `backup into ${command.into}`);
      backups.begin(command.into, done);
      return undefined;
    }
    const state = command.kind === 'backup-cancel' ? backups.cancel() : backups.state;
    if (state === null) return refuse('not-found', 'no backup was made since the broker started');
    return { ok: true, result: state };
  }
}

function messagesIn(slices: readonly { count: number }[]): number {
  return slices.reduce((sum, { count }) => sum + count, 0);
}

function kindOf(line: Line = 'live'): number {
  return line === 'dead' ? KIND_DEAD : KIND_LIVE;
}
