// Giving dead messages back: a form that says how many will go where before it is sent, and how it
// goes, with a way to end it.

import { useState } from 'preact/hooks';
import type { RedriveState } from '../contract/dead-messages.ts';
import {
  manyOf,
  problemsOf,
  type RedriveForm,
  redriveQuery,
  redriveSentence,
  redriveWords,
} from './dead-words.ts';
import { ago, plural } from './format.ts';
import { Complaint, Dialog, Field } from './parts.tsx';
import { change } from './request.ts';
import type { Problem } from './types.ts';

const NO_BOUNDS: RedriveForm = { to: '', limit: '', rate: '' };

interface DialogProps {
  id: string;
  dead: number;
  onClose: () => void;
  onDone: () => void;
}

export function RedriveDialog({ id, dead, onClose, onDone }: DialogProps) {
  const [form, setForm] = useState(NO_BOUNDS);
  const [problem, setProblem] = useState<Problem>();
  const wrong = problemsOf(form);
  const isRight = Object.keys(wrong).length === 0;
  const edit = (part: Partial<RedriveForm>) => setForm({ ...form, ...part });
  const send = async () => {
    const path = `/buckets/${id}/dead/redrive?${redriveQuery(form)}`;
    const result = await change<RedriveState>('POST', path);
    if (result.ok) onDone();
    else setProblem(result.problem);
  };
  return (
    <Dialog title={`Give back the dead of bucket ${id}?`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isRight) void send();
        }}
      >
        <Field
          label="To bucket; empty: where each of them died"
          value={form.to}
          problem={wrong.to}
          onInput={(to) => edit({ to })}
          isNumber
        />
        <Field
          label="Messages at most; empty: all of them"
          value={form.limit}
          problem={wrong.limit}
          onInput={(limit) => edit({ limit })}
          isNumber
        />
        <Field
          label="Messages a second; empty: as fast as it goes"
          value={form.rate}
          problem={wrong.rate}
          onInput={(rate) => edit({ rate })}
        />
        {isRight && <p role="status">{redriveSentence(form, dead)}</p>}
        <Complaint problem={problem} />
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" disabled={!isRight}>
            Give back {isRight ? plural(manyOf(form, dead), 'message') : ''}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface ProgressProps {
  redrive: RedriveState;
  nowMs: number;
  isReadOnly: boolean;
  onChanged: () => void;
}

/** How the last one goes, or went. */
export function RedriveProgress({ redrive, nowMs, isReadOnly, onChanged }: ProgressProps) {
  const [problem, setProblem] = useState<Problem>();
  const end = async () => {
    const path = `/buckets/${redrive.bucket}/dead/redrive/cancel`;
    const result = await change<RedriveState>('POST', path);
    setProblem(result.ok ? undefined : result.problem);
    onChanged();
  };
  const begun = ago(Math.max(0, nowMs - Date.parse(redrive.startedAt)));
  return (
    <div class="progress">
      <p role="status">
        Giving back, begun {begun}: {redriveWords(redrive)}.
      </p>
      {!redrive.done && (
        <button type="button" disabled={isReadOnly} onClick={() => void end()}>
          Give back no more
        </button>
      )}
      <Complaint problem={problem} />
    </div>
  );
}
