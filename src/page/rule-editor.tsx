// A rule in a form: what is wrong is said at its field, what a change would come to can be looked
// at before, and what somebody else has changed meanwhile is shown beside it and not overwritten.

import { useId, useState } from 'preact/hooks';
import type { RuleKeys, RulePreview, RuleRemoved, RuleRow } from '../contract/commands.ts';
import { plural } from './format.ts';
import {
  BucketLink,
  type Column,
  Complaint,
  Dialog,
  Field,
  FieldProblem,
  Table,
} from './parts.tsx';
import { change, get } from './request.ts';
import { type Draft, differences, draftOf, fieldOf, orderOf } from './rule-draft.ts';
import { usePolled } from './store.ts';
import type { Problem } from './types.ts';

// They are the same for as long as the broker runs.
const KEYS_PERIOD_MS = 3_600_000;

interface EditorProps {
  first: Draft;
  onClose: () => void;
  onDone: () => void;
}

export function RuleEditor({ first, onClose, onDone }: EditorProps) {
  const [draft, setDraft] = useState(first);
  const [problem, setProblem] = useState<Problem>();
  const [preview, setPreview] = useState<{ of: string; found: RulePreview }>();
  // What is there now, where it is not what was seen; `undefined` of it: no rule any more.
  const [conflict, setConflict] = useState<{ theirs: RuleRow | undefined }>();
  const isNew = draft.version === undefined;
  const run = async (method: 'PUT' | 'DELETE', isPreview: boolean) => {
    const { path, headers } = orderOf(method, draft, isPreview);
    const result = await change<RuleRow | RuleRemoved | RulePreview>(method, path, headers);
    setConflict(undefined);
    setProblem(result.ok ? undefined : result.problem);
    if (!result.ok) {
      if (result.problem.status === 412) setConflict(await lookAgain(draft.name));
      return;
    }
    const of = method === 'PUT' ? 'Setting it' : 'Removing it';
    if (isPreview) setPreview({ of, found: result.data as RulePreview });
    else onDone();
  };
  const edit = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part });
    setPreview(undefined);
  };
  const settle = (next: Draft) => {
    setDraft(next);
    setConflict(undefined);
    setProblem(undefined);
    setPreview(undefined);
  };
  return (
    <Dialog title={isNew ? 'New rule' : `Rule ${draft.name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run('PUT', false);
        }}
      >
        <Fields draft={draft} problem={problem} isNew={isNew} edit={edit} />
        {conflict !== undefined && (
          <Conflict mine={draft} theirs={conflict.theirs} onSettle={settle} />
        )}
        {preview !== undefined && <Preview of={preview.of} found={preview.found} />}
        <Buttons isNew={isNew} run={run} onClose={onClose} />
      </form>
    </Dialog>
  );
}

async function lookAgain(name: string): Promise<{ theirs: RuleRow | undefined } | undefined> {
  const result = await get<RuleRow>(`/rules/${encodeURIComponent(name.trim())}`);
  if (result.ok) return { theirs: result.data };
  return result.problem.status === 404 ? { theirs: undefined } : undefined;
}

interface FieldsProps {
  draft: Draft;
  problem: Problem | undefined;
  isNew: boolean;
  edit: (part: Partial<Draft>) => void;
}

function Fields({ draft, problem, isNew, edit }: FieldsProps) {
  const id = useId();
  const field = problem === undefined ? undefined : fieldOf(problem);
  const wrong = (name: typeof field) => (field === name ? problem?.detail : undefined);
  return (
    <>
      {isNew && (
        <Field
          label="Name"
          value={draft.name}
          problem={wrong('name')}
          onInput={(name) => edit({ name })}
        />
      )}
      <Field
        label="Buckets: 7, 100-199, value/mask, or *"
        value={draft.match}
        problem={wrong('match')}
        onInput={(match) => edit({ match })}
      />
      <label>
        <span>What it sets, a line for each key: batch=10</span>
        <textarea
          rows={5}
          spellcheck={false}
          value={draft.keys}
          aria-invalid={field === 'keys'}
          aria-describedby={field === 'keys' ? id : undefined}
          onInput={(event) => edit({ keys: event.currentTarget.value })}
        />
      </label>
      <FieldProblem id={id} problem={wrong('keys')} />
      <KeyHelp />
      {field === undefined && <Complaint problem={problem} />}
    </>
  );
}

interface ButtonsProps {
  isNew: boolean;
  run: (method: 'PUT' | 'DELETE', isPreview: boolean) => Promise<void>;
  onClose: () => void;
}

function Buttons({ isNew, run, onClose }: ButtonsProps) {
  return (
    <div class="buttons">
      <button type="button" onClick={onClose}>
        Cancel
      </button>
      <button type="button" onClick={() => void run('PUT', true)}>
        Preview
      </button>
      {!isNew && (
        <button type="button" onClick={() => void run('DELETE', true)}>
          Preview removal
        </button>
      )}
      {!isNew && (
        <button type="button" class="danger" onClick={() => void run('DELETE', false)}>
          Remove
        </button>
      )}
      <button type="submit">Set</button>
    </div>
  );
}

const KEY_COLUMNS: Column<RuleKeys['keys'][number]>[] = [
  { head: 'Key', cell: ({ key }) => <code>{key}</code> },
  {
    head: 'What it does',
    cell: ({ help, takes, usual }) => (
      <>
        {help} <span class="muted">({`${takes}; without a rule ${usual || 'none'}`})</span>
      </>
    ),
  },
];

/** All keys, for who wants to see them. */
function KeyHelp() {
  const { data } = usePolled<RuleKeys>('/rule-keys', KEYS_PERIOD_MS);
  if (data === undefined) return null;
  return (
    <details>
      <summary>All keys</summary>
      <Table
        label="Keys of rules"
        columns={KEY_COLUMNS}
        rows={data.keys}
        keyOf={({ key }) => key}
        empty=""
      />
    </details>
  );
}

const DIFFERENCE_COLUMNS: Column<ReturnType<typeof differences>[number]>[] = [
  { head: 'Part', cell: ({ what }) => <code>{what}</code> },
  { head: 'Yours', cell: ({ mine }) => mine },
  { head: 'There now', cell: ({ theirs }) => theirs },
];

interface ConflictProps {
  mine: Draft;
  theirs: RuleRow | undefined;
  onSettle: (next: Draft) => void;
}

/** Both versions; whoever edits says with which of them it goes on. */
function Conflict({ mine, theirs, onSettle }: ConflictProps) {
  if (theirs === undefined)
    return (
      <section class="conflict" aria-label="Changed meanwhile">
        <p>The rule was removed meanwhile. To set it all the same makes a new one.</p>
        <button type="button" onClick={() => onSettle({ ...mine, version: undefined })}>
          Go on with mine
        </button>
      </section>
    );
  const other = draftOf(theirs);
  return (
    <section class="conflict" aria-label="Changed meanwhile">
      <p>
        The rule was changed meanwhile. Nothing is set until you say which of the two you go on
        with; both can still be edited.
      </p>
      <Table
        label="What differs"
        columns={DIFFERENCE_COLUMNS}
        rows={differences(mine, other)}
        keyOf={({ what }) => what}
        empty="Both say the same."
      />
      <div class="buttons">
        <button type="button" onClick={() => onSettle(other)}>
          Take what is there now
        </button>
        {theirs.version !== undefined && (
          <button type="button" onClick={() => onSettle({ ...mine, version: other.version })}>
            Go on with mine
          </button>
        )}
      </div>
    </section>
  );
}

type ChangedKey = { bucket: string; key: string; before: string; after: string };

const CHANGE_COLUMNS: Column<ChangedKey>[] = [
  { head: 'Bucket', isNumber: true, cell: ({ bucket }) => <BucketLink id={bucket} /> },
  { head: 'Key', cell: ({ key }) => <code>{key}</code> },
  { head: 'Now', cell: ({ before }) => before },
  { head: 'Then', cell: ({ after }) => after },
];

function Preview({ of, found }: { of: string; found: RulePreview }) {
  const { looked, changed, more, buckets } = found;
  const rows = buckets.flatMap(({ bucket, changes }) =>
    changes.map((each) => ({ bucket, ...each })),
  );
  return (
    <>
      <p role="status">
        {of} would change {changed} of {plural(looked, 'known bucket')}
        {more && '; there may be more on disk'}.
      </p>
      {rows.length > 0 && (
        <Table
          label="What would change"
          columns={CHANGE_COLUMNS}
          rows={rows}
          keyOf={({ bucket, key }) => `${bucket} ${key}`}
          empty=""
        />
      )}
      {changed > buckets.length && (
        <p class="hint">The list holds the first {buckets.length} buckets.</p>
      )}
    </>
  );
}
