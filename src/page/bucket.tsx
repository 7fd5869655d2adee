// One bucket: what is in it, why it does or does not move, who consumes it, and what an operator
// can do about it.

import { useState } from 'preact/hooks';
import type { BucketInfo, ConsumerRow } from '../contract/commands.ts';
import { ageOf, readyOf } from './columns.tsx';
import { ago, count, duration, rate } from './format.ts';
import { Messages } from './messages.tsx';
import { type Column, Complaint, Foreign, Panel, Table, Tile, Value, WhyBadge } from './parts.tsx';
import { ConfirmPurge, PurgeFacts } from './purge.tsx';
import { change } from './request.ts';
import { hrefOf } from './route.ts';
import { Spark } from './spark.tsx';
import { useFollow, useLive, useReadOnly } from './store.ts';
import type { Problem } from './types.ts';
import { sentence } from './words.ts';

const CONSUMER_COLUMNS: Column<ConsumerRow>[] = [
  { head: 'Consumer', cell: (row) => <Foreign text={row.consumerId} /> },
  { head: 'Peer', isMinor: true, cell: (row) => <Foreign text={row.peer} /> },
  { head: 'State', cell: (row) => row.state },
  { head: 'Batch', isNumber: true, cell: (row) => count(row.batchSize) },
  { head: 'In flight', isNumber: true, cell: (row) => <Value text={count(row.unacked)} /> },
  { head: 'Delivered', isNumber: true, isMinor: true, cell: (row) => count(row.messages) },
  { head: 'Heard', isNumber: true, cell: (row) => ago(row.silentMs) },
];

const RULE_COLUMNS: Column<BucketInfo['rules'][number]>[] = [
  { head: 'Key', cell: (row) => row.key },
  { head: 'Value', cell: (row) => row.value },
  { head: 'By rule', cell: (row) => row.rule },
];

export function BucketScreen({ id }: { id: string }) {
  useFollow({ bucket: id });
  const { bucket, overview, problem } = useLive();
  const isReadOnly = useReadOnly();
  const head = (
    <p class="crumbs">
      <a href={hrefOf('buckets')}>Buckets</a> <span aria-hidden="true">/</span> {id}
    </p>
  );
  if (bucket === undefined)
    return (
      <>
        {head}
        {problem === undefined ? <p class="empty">Asking for the bucket …</p> : null}
        <Complaint problem={problem} />
      </>
    );
  // Dates are the broker's; its clock need not be that of the browser.
  const nowMs = overview === undefined ? Date.now() : Date.parse(overview.now);
  return (
    <>
      {head}
      <Why bucket={bucket} nowMs={nowMs} />
      <Head bucket={bucket} at={Date.parse(overview?.now ?? '')} />
      <Panel title="Consumers">
        <Table
          label={`Consumers of bucket ${id}`}
          columns={CONSUMER_COLUMNS}
          rows={bucket.consumersList}
          keyOf={(row) => String(row.connection)}
          empty="Nobody consumes this bucket."
        />
      </Panel>
      <Panel title="Rules" aside={<a href={hrefOf('rules', id)}>All that is in force</a>}>
        <Table
          label={`What rules set for bucket ${id}`}
          columns={RULE_COLUMNS}
          rows={bucket.rules}
          keyOf={(row) => row.key}
          empty="No rule sets anything for this bucket."
        />
      </Panel>
      <Messages key={id} id={id} />
      <Actions bucket={bucket} nowMs={nowMs} isReadOnly={isReadOnly} />
    </>
  );
}

function Why({ bucket, nowMs }: { bucket: BucketInfo; nowMs: number }) {
  const { why } = bucket;
  const forMs = why.since === undefined ? 0 : nowMs - Date.parse(why.since);
  const since = forMs < 1000 ? '' : `, for ${duration(forMs)}`;
  const leftMs = why.until === undefined ? 0 : Date.parse(why.until) - nowMs;
  const until = leftMs < 1000 ? '' : `, for another ${duration(leftMs)}`;
  return (
    <p class="why">
      <WhyBadge why={why} />
      <span>{sentence(why.text) + since + until}.</span>
    </p>
  );
}

function Head({ bucket, at }: { bucket: BucketInfo; at: number }) {
  return (
    <div class="bucket-head">
      <dl class="tiles">
        <Tile label="Ready" text={readyOf(bucket)} detail={returnedOf(bucket)} />
        <Tile label="In flight" text={count(bucket.unacked)} detail="delivered, not acked" />
        <Tile
          isCalm
          label="Later"
          text={count(bucket.delayed)}
          detail={laterOf(bucket.nextDueAt, at)}
        />
        <Tile
          label="Dead"
          text={count(bucket.dead)}
          detail="kept with it"
          href={hrefOf('dead', bucket.id)}
        />
        <Tile isCalm label="Oldest" text={ageOf(bucket)} detail="of what waits" />
        <Tile label="Consumers" text={count(bucket.consumers)} detail="connected now" />
      </dl>
      <div class="sparks">
        <Spark label="Ready" value={bucket.ready} at={at} format={count} />
        <Spark label="In per second" value={bucket.publishedRate} at={at} format={rate} />
        <Spark label="Settled per second" value={bucket.settledRate} at={at} format={rate} />
      </div>
    </div>
  );
}

function returnedOf({ returned, suspects }: BucketInfo): string {
  if (returned === 0) return 'messages wait';
  const apart = suspects === 0 ? '' : `, ${count(suspects)} apart`;
  return `${count(returned)} came back${apart}`;
}

/** When the next message is ready that waits for a time; `at`: now, by the broker. */
function laterOf(nextDueAt: string | null, at: number): string {
  if (nextDueAt === null || Number.isNaN(at)) return 'wait for their time';
  return `next in ${duration(Math.max(0, Date.parse(nextDueAt) - at))}`;
}

interface ActionsProps {
  bucket: BucketInfo;
  nowMs: number;
  isReadOnly: boolean;
}

function Actions({ bucket, nowMs, isReadOnly }: ActionsProps) {
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const { id, paused, purge } = bucket;
  const act = async (verb: 'pause' | 'resume' | 'purge') => {
    const result = await change('POST', `/buckets/${id}/${verb}`);
    setProblem(result.ok ? undefined : result.problem);
  };
  return (
    <Panel title="Actions">
      {isReadOnly && <p class="hint">This dashboard is read-only: nothing can be changed here.</p>}
      <div class="buttons">
        <button
          type="button"
          disabled={isReadOnly}
          onClick={() => void act(paused ? 'resume' : 'pause')}
        >
          {paused ? 'Resume deliveries' : 'Pause deliveries'}
        </button>
        <button type="button" class="danger" disabled={isReadOnly} onClick={() => setAsking(true)}>
          Purge …
        </button>
      </div>
      <Complaint problem={problem} />
      {purge !== null && <PurgeFacts purge={purge} nowMs={nowMs} />}
      {isAsking && (
        <ConfirmPurge
          id={id}
          many={bucket.ready}
          exact={bucket.exact}
          title={`Purge bucket ${id}?`}
          what="what waits now"
          after="What consumers hold, and what is published later, is not touched."
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            void act('purge');
          }}
        />
      )}
    </Panel>
  );
}
