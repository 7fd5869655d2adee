// The desk of an operator: an admin on a broker in a world of the test's own, whose turns and disk
// the test moves.

import assert from 'node:assert/strict';
import type { BucketInfo, Command, Outcome, PeekResult } from '../../src/contract/commands.ts';
import { Admin } from '../../src/core/admin/admin.ts';
import { brokerOf, type World } from './world.ts';

const KIB = 1024;

/** An admin whose turns and disk the test moves. */
export class Desk {
  readonly world: World;
  readonly admin: Admin;
  readonly turns: (() => void)[] = [];

  constructor(world: World) {
    this.world = world;
    this.admin = new Admin({
      broker: world.broker,
      log: world.log.ports,
      wallMs: () => world.wallMs,
      base64: (bytes) => Buffer.from(bytes).toString('base64'),
      soon: (call) => void this.turns.push(call),
      after: () => {},
    });
  }

  get wallMs(): number {
    return this.world.wallMs;
  }

  set wallMs(ms: number) {
    this.world.wallMs = ms;
  }

  /** Lets everything happen that needs no time. */
  run(): void {
    do {
      for (const turn of this.turns.splice(0)) turn();
      this.world.settle();
    } while (this.turns.length > 0);
  }

  /** Lets acks of a purge be written, too. */
  runOn(): void {
    for (let i = 0; i < 20; i++) {
      this.run();
      this.world.advance(100, true);
    }
    this.run();
  }

  outcome(command: Command): Outcome {
    let outcome: Outcome | undefined;
    this.admin.ask(command, (result) => {
      assert.equal(outcome, undefined, 'answered twice');
      outcome = result;
    });
    if (outcome === undefined) this.run();
    assert.ok(outcome !== undefined, `no answer to ${command.kind}`);
    return outcome;
  }

  ask<T>(command: Command): T {
    const outcome = this.outcome(command);
    assert.ok(outcome.ok, JSON.stringify(outcome));
    return outcome.result as T;
  }

  bucket(id: number | string): BucketInfo {
    return this.ask<BucketInfo>({ kind: 'bucket', id: String(id) });
  }

  peek(id: number, limit = 100, bytes = KIB): string[] {
    const { messages } = this.ask<PeekResult>({ kind: 'peek', id: String(id), limit, bytes });
    return messages.map(({ payload }) => Buffer.from(payload, 'base64').toString());
  }

  /** Pauses or resumes, until that is durable. */
  pause(kind: 'pause' | 'resume', id: string): Outcome {
    let outcome: Outcome | undefined;
    this.admin.ask({ kind, id }, (result) => {
      outcome = result;
    });
    assert.equal(outcome, undefined, 'answered before it was on disk');
    for (let i = 0; i < 3 && outcome === undefined; i++) {
      this.run();
      if (outcome === undefined) this.world.advance(50, true);
    }
    assert.ok(outcome !== undefined);
    return outcome;
  }
}

/** A desk whose world has small segments, so that most of what waits is in indexes. */
export function deepDesk(slotsMax?: number): Desk {
  const limits = { segmentBytes: 16 * KIB, messageBytesMax: KIB, heartbeatMs: 1e9 };
  return new Desk(brokerOf({ limits, ...(slotsMax === undefined ? {} : { slotsMax }) }));
}
