// What an orchestrator sees: the three probes with their checks, and the process itself.

import { useEffect, useState } from 'preact/hooks';
import type { ClusterView } from '../dashboard/messages.ts';
import { ago, bytes, count, milliseconds, NOTHING, percent } from './format.ts';
import { type Column, Facts, Panel, Table } from './parts.tsx';
import { probe } from './request.ts';
import { useLive } from './store.ts';
import type { Check, Overview } from './types.ts';
import { sentence } from './words.ts';

const PERIOD_MS = 2000;
const PROBES = [
  { path: 'startupz', title: 'Started', words: 'recovery is over and the ports are open' },
  { path: 'livez', title: 'Alive', words: 'the broker makes progress' },
  { path: 'readyz', title: 'Ready', words: 'it takes work' },
];

interface Answer {
  ok: boolean;
  checks: Record<string, Check>;
}

export function HealthScreen() {
  const [answers, setAnswers] = useState<(Answer | undefined)[]>();
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const ask = async () => {
      const all = await Promise.all(PROBES.map(({ path }) => probe<Answer>(path)));
      if (isOver) return;
      setAnswers(all);
      timer = setTimeout(() => void ask(), PERIOD_MS);
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, []);
  const { overview, cluster } = useLive();
  return (
    <>
      <dl class="tiles">
        {PROBES.map(({ path, title, words }, i) => (
          <ProbeTile
            key={path}
            title={title}
            path={`/${path}`}
            words={words}
            answer={answers?.[i]}
          />
        ))}
      </dl>
      <Panel title="Checks">
        <Table
          label="Checks"
          columns={CHECK_COLUMNS}
          rows={checksOf(answers ?? [])}
          keyOf={([name]) => name}
          empty={answers === undefined ? 'Asking …' : 'The broker gave no checks.'}
        />
      </Panel>
      {cluster?.serves === false && <NodeProcess cluster={cluster} />}
      {overview !== undefined && <Process overview={overview} />}
    </>
  );
}

const CHECK_COLUMNS: Column<[string, Check]>[] = [
  { head: 'Check', cell: ([name]) => name },
  {
    head: 'State',
    cell: ([, { ok }]) => (
      <span class={`badge ${ok ? 'calm' : 'bad'}`}>{ok ? 'ok' : 'not ok'}</span>
    ),
  },
  { head: 'Detail', cell: ([, { detail }]) => sentence(detail) },
];

function checksOf(answers: (Answer | undefined)[]): [string, Check][] {
  return Object.entries(Object.assign({}, ...answers.map((answer) => answer?.checks ?? {})));
}

interface ProbeProps {
  title: string;
  path: string;
  words: string;
  answer: Answer | undefined;
}

function ProbeTile({ title, path, words, answer }: ProbeProps) {
  const text = answer === undefined ? '…' : answer.ok ? 'yes' : 'no';
  return (
    <div class={`tile probe ${answer === undefined ? '' : answer.ok ? 'good' : 'bad'}`}>
      <dt>
        {title} <code>{path}</code>
      </dt>
      <dd>
        <span class="tile-number">{text}</span>
        <span class="tile-detail">{words}</span>
      </dd>
    </div>
  );
}

/** Which server the page comes from. */
function servedFacts(servedBy: Overview['servedBy']): [string, string][] {
  if (servedBy === undefined) return [];
  const { transport, why } = servedBy;
  return [
    ['This page is served by', transport === 'uws' ? 'uWebSockets.js' : 'node:http and ws'],
    ...(why === undefined ? [] : [['Because', why] as [string, string]]),
  ];
}

/** Of a node that follows: there is no more of it. */
function NodeProcess({ cluster }: { cluster: ClusterView }) {
  const { self, resources } = cluster;
  const { rssBytes, budgetBytes, heapBytes, logBytes, diskFreeBytes } = resources;
  return (
    <Panel title="Process">
      <Facts
        facts={[
          ['Version', self.version],
          ['Started', new Date(self.startedAt).toLocaleString('en-GB')],
          ['Resident memory', bytes(rssBytes)],
          ['Of its budget', percent(rssBytes, budgetBytes)],
          ['JavaScript heap', bytes(heapBytes)],
          ['Its copy of the log', bytes(logBytes)],
          ['Free on its disk', diskFreeBytes === null ? NOTHING : bytes(diskFreeBytes)],
        ]}
      />
    </Panel>
  );
}

function Process({ overview }: { overview: Overview }) {
  const { memory, eventLoopDelayMs: delay, totals, servedBy } = overview;
  const budget = memory.budgetBytes;
  return (
    <Panel title="Process">
      <Facts
        facts={[
          ['Version', overview.version],
          ['Process id', String(overview.pid)],
          ['Started', ago(overview.uptimeMs)],
          ['Resident memory', bytes(memory.rssBytes)],
          ...(budget === undefined
            ? []
            : [['Of its budget', percent(memory.rssBytes, budget)] as [string, string]]),
          ['JavaScript heap', bytes(memory.heapBytes)],
          ['Buffers', `${bytes(memory.bufferedBytes)} of ${bytes(memory.bufferBytesMax)}`],
          ['Producers that wait for memory', count(memory.waitingProducers)],
          ['Event loop, 99 % within', milliseconds(delay.p99)],
          ['Event loop, longest', milliseconds(delay.max)],
          ['Messages that could not be read', count(totals.unreadableMessages)],
          ['Protocol errors', count(totals.protocolErrors)],
          ...servedFacts(servedBy),
        ]}
      />
    </Panel>
  );
}
