// Small parts that all screens are built from. Values come in as text or numbers and go out as text
// nodes only: nothing here can turn what a peer sent into markup.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { Why } from '../contract/why.ts';
import { visible } from './format.ts';
import { hrefOf } from './route.ts';
import type { Problem } from './types.ts';
import { sentence } from './words.ts';

/** A value that lights up for a moment when it changes. */
export function Value({ text }: { text: string }) {
  const before = useRef(text);
  const turn = useRef(0);
  if (before.current !== text) {
    before.current = text;
    turn.current++;
  }
  // Two names of one animation, in turn: a browser starts it anew only when the name changes.
  const lit = turn.current === 0 ? '' : ` lit-${turn.current % 2}`;
  return <span class={`value${lit}`}>{text}</span>;
}

interface TileProps {
  label: string;
  text: string;
  unit?: string;
  detail?: string | undefined;
  href?: string;
  /** It changes all the time: no need to say so. */
  isCalm?: boolean;
}

/** One number with its name, for the head of a screen. */
export function Tile({ label, text, unit, detail, href, isCalm }: TileProps) {
  return (
    <div class="tile">
      <dt>{href === undefined ? label : <a href={href}>{label}</a>}</dt>
      <dd>
        <span class="tile-number">
          {isCalm ? text : <Value text={text} />}
          {unit !== undefined && <span class="unit"> {unit}</span>}
        </span>
        {detail !== undefined && <span class="tile-detail">{detail}</span>}
      </dd>
    </div>
  );
}

/** A titled region of a screen. */
export function Panel(props: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  const id = `panel-${props.title.toLowerCase().replace(/[^a-z]+/g, '-')}`;
  return (
    <section class="panel" aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        {props.aside !== undefined && <div class="panel-aside">{props.aside}</div>}
      </div>
      {props.children}
    </section>
  );
}

export interface Column<Row> {
  head: string;
  /** Numbers stand at the right. */
  isNumber?: boolean;
  /** Left out where there is little room. */
  isMinor?: boolean;
  cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  /** What the rows are, for who cannot see the table. */
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => string;
  empty: string;
}

/** A table that keeps the rows it knows when others come and go. */
export function Table<Row>({ label, columns, rows, keyOf, empty }: TableProps<Row>) {
  const kind = ({ isNumber, isMinor }: Column<Row>) =>
    `${isNumber ? 'number' : ''}${isMinor ? ' minor' : ''}`;
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  return (
    // Scrolls sideways on its own where it is too wide, also by keyboard.
    // biome-ignore lint/a11y/useSemanticElements: the elements for a group are those of forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the focus
    <div class="scroll" role="group" tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.head} scope="col" class={kind(column)}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td key={column.head} class={kind(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Names and values, one below the other. */
export function Facts({ facts }: { facts: [name: string, value: ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === 'string' ? <Value text={value} /> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Text that came from a peer: shown as it is, without power over what stands around it. */
export function Foreign({ text }: { text: string }) {
  return <bdi>{visible(text)}</bdi>;
}

export function BucketLink({ id }: { id: string }) {
  return (
    <a class="id" href={hrefOf('buckets', id)}>
      {id}
    </a>
  );
}

const CALM = new Set([
  'empty',
  'delivering',
  'reading',
  'suspects-first',
  'redelivering',
  'heartbeat-pending',
]);
const URGENT = new Set(['no-consumer', 'consumer-silent', 'consumer-not-reading', 'storage-full']);

/** Why not more is delivered: a code with a mark, its words in the title. */
export function WhyBadge({ why }: { why: Why }) {
  const level = URGENT.has(why.code) ? 'warn' : CALM.has(why.code) ? 'calm' : 'note';
  return (
    <span class={`badge ${level}`} title={sentence(why.text)}>
      {why.code.replaceAll('-', ' ')}
    </span>
  );
}

export function Complaint({ problem }: { problem: Problem | undefined }) {
  if (problem === undefined) return null;
  return (
    <p class="complaint" role="alert">
      {sentence(problem.detail ?? problem.title)}
    </p>
  );
}

interface FieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  /** What is wrong with it. */
  problem?: string | undefined;
  /** Digits only: a phone shows them. */
  isNumber?: boolean;
}

/** A line of text with its name. */
export function Field({ label, value, onInput, problem, isNumber = false }: FieldProps) {
  const id = useId();
  return (
    <>
      <label>
        <span>{label}</span>
        <input
          autoComplete="off"
          spellcheck={false}
          inputMode={isNumber ? 'numeric' : 'text'}
          value={value}
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : id}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      </label>
      <FieldProblem id={id} problem={problem} />
    </>
  );
}

/** What is wrong with a field, below it; `id`: what the field says that it is described by. */
export function FieldProblem({ id, problem }: { id: string; problem: string | undefined }) {
  if (problem === undefined) return null;
  return (
    <p id={id} class="complaint" role="alert">
      {sentence(problem)}
    </p>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** A dialog over the page: the browser keeps the focus inside and closes it with Escape. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={box} onClose={onClose} aria-labelledby="dialog-title">
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}
