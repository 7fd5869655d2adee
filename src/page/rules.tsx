// The rules of the broker: a list, what one of them says and what a change would come to, and which
// rule decides what for a bucket.

import { useState } from 'preact/hooks';
import type { RulePage, RulePreview, RuleRemoved, RuleRow } from '../contract/commands.ts';
import { ExplainRules } from './explain-rules.tsx';
import { plural } from './format.ts';
import { BucketLink, type Column, Complaint, Dialog, Field, Panel, Table } from './parts.tsx';
import { change, type Result } from './request.ts';
import { useLive, usePolled } from './store.ts';
import type { Problem } from './types.ts';

const PERIOD_MS = 5000;
const ROWS_MAX = 1000;

/** What is edited: a rule as text. `version`: of the one that it replaces. */
interface Draft {
  name: string;
  match: string;
  /** A line for each key: `batch=10`. */
  keys: string;
  version: string | undefined;
}

const NEW: Draft = { name: '', match: '', keys: '', version: undefined };

function draftOf({ name, match, keys, version }: RuleRow): Draft {
  return { name, match, keys: textOf(keys), version };
}

function textOf(keys: RuleRow['keys']): string {
  return Object.entries(keys)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');
}

function columnsOf(edit: (rule: RuleRow) => void, isReadOnly: boolean): Column<RuleRow>[] {
  return [
    { head: 'Rule', cell: (row) => row.name },
    { head: 'Match', cell: (row) => <code>{row.match}</code> },
    { head: 'Sets', cell: (row) => <code>{textOf(row.keys).replaceAll('\n', ' ')}</code> },
    {
      head: 'From',
      cell: (row) =>
        row.source === 'file' ? (
          <span class="muted">configuration file</span>
        ) : (
          `version ${row.version}`
        ),
    },
    {
      head: 'Change',
      cell: (row) =>
        row.source === 'set' && (
          <button
            type="button"
            disabled={isReadOnly}
            aria-label={`Edit rule ${row.name}`}
            onClick={() => edit(row)}
          >
            Edit …
          </button>
        ),
    },
  ];
}

export function RulesScreen() {
  const path = `/rules?limit=${ROWS_MAX}`;
  const { data, problem, refresh } = usePolled<RulePage>(path, PERIOD_MS);
  const { overview } = useLive();
  const [draft, setDraft] = useState<Draft>();
  const isReadOnly = overview?.readOnly === true;
  const total = data === undefined ? '' : plural(data.count, 'rule');
  return (
    <>
      <Panel title="Rules" aside={<span class="muted">{total}</span>}>
        <Complaint problem={problem} />
        {isReadOnly && <p class="hint">This dashboard is read-only: nothing is changed here.</p>}
        {data !== undefined && (
          <Table
            label="Rules"
            columns={columnsOf((rule) => setDraft(draftOf(rule)), isReadOnly)}
            rows={data.rules}
            keyOf={(row) => row.name}
            empty="There are no rules: each bucket has the defaults."
          />
        )}
        {data !== undefined && data.count > data.rules.length && (
          <p class="hint">The list holds the first {ROWS_MAX}; thrustmq rule ls shows all.</p>
        )}
        <div class="buttons">
          <button type="button" disabled={isReadOnly} onClick={() => setDraft(NEW)}>
            New rule …
          </button>
        </div>
      </Panel>
      <ExplainRules />
      {draft !== undefined && (
        <Editor
          first={draft}
          onClose={() => setDraft(undefined)}
          onDone={() => {
            setDraft(undefined);
            refresh();
          }}
        />
      )}
    </>
  );
}

/** Changes a rule only if it is still the version that was seen, or there is none yet. */
function order<T>(
  method: 'PUT' | 'DELETE',
  { name, match, keys, version }: Draft,
  isPreview: boolean,
): Promise<Result<T>> {
  const query = new URLSearchParams();
  if (method === 'PUT') {
    query.set('match', match.trim());
    for (const word of keys.split(/\s+/).filter((each) => each !== '')) {
      const at = word.indexOf('=');
      query.append(at < 0 ? word : word.slice(0, at), at < 0 ? '' : word.slice(at + 1));
    }
  }
  if (isPreview) query.set('preview', '1');
  const condition: Record<string, string> =
    version === undefined ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` };
  const path = `/rules/${encodeURIComponent(name.trim())}?${query}`;
  return change<T>(method, path, condition);
}

interface EditorProps {
  first: Draft;
  onClose: () => void;
  onDone: () => void;
}

function Editor({ first, onClose, onDone }: EditorProps) {
  const [draft, setDraft] = useState(first);
  const [problem, setProblem] = useState<Problem>();
  const [preview, setPreview] = useState<{ of: string; found: RulePreview }>();
  const isNew = first.version === undefined;
  const run = async (method: 'PUT' | 'DELETE', isPreview: boolean) => {
    const result = await order<RuleRow | RuleRemoved | RulePreview>(method, draft, isPreview);
    setProblem(result.ok ? undefined : result.problem);
    if (!result.ok) return;
    const of = method === 'PUT' ? 'Setting it' : 'Removing it';
    if (isPreview) setPreview({ of, found: result.data as RulePreview });
    else onDone();
  };
  const edit = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part });
    setPreview(undefined);
  };
  return (
    <Dialog title={isNew ? 'New rule' : `Rule ${first.name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run('PUT', false);
        }}
      >
        {isNew && <Field label="Name" value={draft.name} onInput={(name) => edit({ name })} />}
        <Field
          label="Buckets: 7, 100-199, value/mask, or *"
          value={draft.match}
          onInput={(match) => edit({ match })}
        />
        <label>
          <span>What it sets, a line for each key: batch=10</span>
          <textarea
            rows={5}
            spellcheck={false}
            value={draft.keys}
            onInput={(event) => edit({ keys: event.currentTarget.value })}
          />
        </label>
        <Complaint problem={problem} />
        {preview !== undefined && <Preview of={preview.of} found={preview.found} />}
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
      </form>
    </Dialog>
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
    </>
  );
}
