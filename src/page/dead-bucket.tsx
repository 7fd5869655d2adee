// What is dead of one bucket: how many, why, each message with what is known of it, and giving them
// back or throwing them away.

import { useState } from 'preact/hooks';
import type { BucketInfo } from '../contract/commands.ts';
import { readyOf } from './columns.tsx';
import { Messages } from './messages.tsx';
import { Complaint, Panel } from './parts.tsx';
import { ConfirmPurge, PurgeFacts } from './purge.tsx';
import { ReasonsTable } from './reasons.tsx';
import { RedriveDialog, RedriveProgress } from './redrive.tsx';
import { change } from './request.ts';
import { hrefOf } from './route.ts';
import { useLive, usePolled, useReadOnly } from './store.ts';
import type { Problem } from './types.ts';

const PERIOD_MS = 1000;

export function DeadBucketScreen({ id }: { id: string }) {
  const { overview } = useLive();
  const isReadOnly = useReadOnly();
  const { data: line, problem, refresh } = usePolled<BucketInfo>(`/buckets/${id}/dead`, PERIOD_MS);
  const nowMs = overview === undefined ? Date.now() : Date.parse(overview.now);
  return (
    <>
      <p class="crumbs">
        <a href={hrefOf('dead')}>Dead messages</a> <span aria-hidden="true">/</span> {id}
      </p>
      <Complaint problem={problem} />
      {line === undefined ? (
        problem === undefined && <p class="empty">Asking for what is dead …</p>
      ) : (
        <>
          <Actions line={line} nowMs={nowMs} isReadOnly={isReadOnly} refresh={refresh} />
          <Panel title="Why they died">
            <ReasonsTable id={id} dead={line.ready} />
          </Panel>
        </>
      )}
      <Messages key={id} id={id} line="dead" />
    </>
  );
}

interface ActionsProps {
  line: BucketInfo;
  nowMs: number;
  isReadOnly: boolean;
  refresh: () => void;
}

function Actions({ line, nowMs, isReadOnly, refresh }: ActionsProps) {
  const [asking, setAsking] = useState<'redrive' | 'purge'>();
  const [problem, setProblem] = useState<Problem>();
  const { id, ready, exact, purge, redrive = null } = line;
  const isGoing = redrive?.done === false || purge?.done === false;
  // What was not counted since the start may be there all the same.
  const isEmpty = ready === 0 && exact;
  const purgeIt = async () => {
    const result = await change('POST', `/buckets/${id}/dead/purge`);
    setProblem(result.ok ? undefined : result.problem);
    refresh();
  };
  const ask = (what: 'redrive' | 'purge') => setAsking(what);
  const close = () => setAsking(undefined);
  return (
    <Panel
      title={`Dead messages of bucket ${id}`}
      aside={<a href={hrefOf('buckets', id)}>The bucket</a>}
    >
      <p class="why">
        {isEmpty ? 'Nothing is dead here.' : `${readyOf(line)} dead; nobody is given them.`}
      </p>
      {isReadOnly && <p class="hint">This dashboard is read-only: nothing can be changed here.</p>}
      <div class="buttons">
        <button
          type="button"
          disabled={isReadOnly || isEmpty || isGoing}
          onClick={() => ask('redrive')}
        >
          Give back …
        </button>
        <button
          type="button"
          class="danger"
          disabled={isReadOnly || isEmpty || isGoing}
          onClick={() => ask('purge')}
        >
          Purge …
        </button>
      </div>
      <Complaint problem={problem} />
      {redrive !== null && (
        <RedriveProgress
          redrive={redrive}
          nowMs={nowMs}
          isReadOnly={isReadOnly}
          onChanged={refresh}
        />
      )}
      {purge !== null && <PurgeFacts purge={purge} nowMs={nowMs} />}
      {asking === 'redrive' && (
        <RedriveDialog
          id={id}
          dead={ready}
          onClose={close}
          onDone={() => {
            close();
            refresh();
          }}
        />
      )}
      {asking === 'purge' && (
        <ConfirmPurge
          id={id}
          many={ready}
          exact={exact}
          title={`Purge the dead of bucket ${id}?`}
          what="what is dead now"
          after="What waits in the bucket, and what dies later, is not touched."
          onClose={close}
          onConfirm={() => {
            close();
            void purgeIt();
          }}
        />
      )}
    </Panel>
  );
}
