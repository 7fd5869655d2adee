// Looks at the next messages of a bucket's line, own or dead, without taking them: what is known of
// each, and what it says as text, as JSON or in hex.

import { useState } from 'preact/hooks';
import type { Line, PeekedMessage, PeekResult } from '../contract/commands.ts';
import type { MovedMessage } from '../contract/dead-messages.ts';
import { meaningOf, movedWords } from './dead-words.ts';
import { bytes, count, plural } from './format.ts';
import { Complaint, Panel } from './parts.tsx';
import { bytesOf, type Form, formFor, shown } from './payload.ts';
import { get } from './request.ts';
import { useLive } from './store.ts';
import type { Problem } from './types.ts';

const LIMITS = [10, 50, 100];
const BYTES = 4096;
const FORMS: Form[] = ['text', 'json', 'hex'];
const FORM_LABELS: Record<Form, string> = { text: 'Text', json: 'JSON', hex: 'Hex' };

const PATHS: Record<Line, string> = { live: 'messages', dead: 'dead/messages' };

export function Messages({ id, line = 'live' }: { id: string; line?: Line }) {
  const [limit, setLimit] = useState(LIMITS[0]!);
  const [peeked, setPeeked] = useState<PeekResult>();
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  const peek = async () => {
    setBusy(true);
    const path = `/buckets/${id}/${PATHS[line]}?limit=${limit}&bytes=${BYTES}`;
    const result = await get<PeekResult>(path);
    setBusy(false);
    setProblem(result.ok ? undefined : result.problem);
    if (result.ok) setPeeked(result.data);
  };
  return (
    <Panel title="Messages">
      <form
        class="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          void peek();
        }}
      >
        <label>
          <span>How many</span>
          <select value={limit} onChange={(event) => setLimit(Number(event.currentTarget.value))}>
            {LIMITS.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" disabled={isBusy}>
          Peek at the next messages
        </button>
        <span class="muted">
          {line === 'dead'
            ? 'They are not taken: they stay dead.'
            : 'They are not taken: consumers get them as before.'}
        </span>
      </form>
      <Complaint problem={problem} />
      {peeked !== undefined && <Peeked peeked={peeked} line={line} />}
    </Panel>
  );
}

function Peeked({ peeked, line }: { peeked: PeekResult; line: Line }) {
  const { messages, cut } = peeked;
  const isDead = line === 'dead';
  if (messages.length === 0)
    return (
      <p class="empty">{isDead ? 'Nothing is dead here.' : 'Nothing waits in this bucket.'}</p>
    );
  return (
    <>
      <p class="hint" role="status">
        {plural(messages.length, 'message')}, in the order in which they{' '}
        {isDead ? 'would be given back' : 'will be delivered'}
        {cut ? '; fewer than asked for, because they are large' : ''}.
      </p>
      <ol class="messages">
        {messages.map((message) => (
          <Message key={message.sequence} message={message} />
        ))}
      </ol>
    </>
  );
}

function Moved({ moved }: { moved: MovedMessage }) {
  const { overview } = useLive();
  // Dates are the broker's; its clock need not be that of the browser.
  const nowMs = overview === undefined ? Date.now() : Date.parse(overview.now);
  return (
    <p class="hint" title={`published ${moved.publishedAt ?? '?'}, moved ${moved.movedAt ?? '?'}`}>
      <span class="badge" title={meaningOf(moved.reason)}>
        {moved.reason}
      </span>{' '}
      {movedWords(moved, nowMs)}
    </p>
  );
}

function Message({ message }: { message: PeekedMessage }) {
  const { sequence, attempts, length, truncated, payload, moved } = message;
  const content = bytesOf(payload);
  const [form, setForm] = useState<Form>(() => formFor(content, truncated));
  const { text, note } = shown(content, form, truncated);
  return (
    <li>
      <div class="message-head">
        <span>
          <b>#{sequence}</b>, {bytes(length)}
          {attempts > 0 && `, delivered ${plural(attempts, 'time')} before`}
        </span>
        <fieldset class="choice">
          <legend class="unseen">Show message {sequence} as</legend>
          {FORMS.map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={each === form}
              onClick={() => setForm(each)}
            >
              {FORM_LABELS[each]}
            </button>
          ))}
        </fieldset>
      </div>
      {moved !== undefined && <Moved moved={moved} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls takes the focus */}
      <pre dir="ltr" tabIndex={0}>
        <bdi>{text}</bdi>
      </pre>
      {note !== undefined && <p class="hint">{note}</p>}
      {truncated && (
        <p class="hint">
          The first {count(content.length)} of {count(length)} bytes.
        </p>
      )}
    </li>
  );
}
