// The overview page as plain HTML that reloads itself: no script, no outside asset. Every value is
// escaped here, whoever it came from.

import type { BucketSnapshot, ConnectionSnapshot, Snapshot } from '../core/snapshot.ts';
import type { Answer } from './messages.ts';

const REFRESH_S = 2;
const ROWS_MAX = 20;

export const PAGE_STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; }
td.number, th.number { text-align: right; }
.warning { border-left: 4px solid #c60; padding-left: .8rem; }
nav a { margin-right: 1rem; }
`;

/** The whole document for an answer of the broker, or for none. */
export function renderPage(answer: Answer | undefined): string {
  const snapshot = answer?.snapshot;
  const body = snapshot ? overview(snapshot) : `<p class="warning">${silence(answer)}</p>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ThrustMQ</title>
<meta http-equiv="refresh" content="${REFRESH_S}">
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/page.css"></head>
<body><h1>ThrustMQ</h1>
<nav><a href="/dash">snapshot</a><a href="/livez?verbose">live</a><a href="/readyz?verbose">ready</a
><a href="/startupz?verbose">started</a></nav>
${body}
</body></html>
`;
}

function silence(answer: Answer | undefined): string {
  if (answer === undefined) return 'The broker does not answer.';
  const why = answer.health.checks.startup?.detail;
  return why === undefined
    ? 'The broker is starting.'
    : `The broker is starting: ${escapeHtml(why)}.`;
}

function overview(snapshot: Snapshot): string {
  const { rates, totals, buckets, connections, log, memory } = snapshot;
  const warning = snapshot.warning ? `<p class="warning">${escapeHtml(snapshot.warning)}</p>` : '';
  return `${warning}
<p>Version ${escapeHtml(snapshot.version)}, process ${count(snapshot.pid)}, since
${escapeHtml(snapshot.startedAt)}; log ${escapeHtml(log.state)}, sync ${escapeHtml(log.sync)},
${count(log.segments)} segments, ${count(log.diskBytes)} bytes on disk.</p>
<h2>Storage</h2>
${table(
  ['', ''],
  [
    ['bytes of segments', count(log.totalBytes)],
    ['of them live', count(log.liveBytes)],
    ['bytes of indexes', count(log.indexBytes)],
    ['compactions', count(log.compactions.count)],
    ['bytes that they wrote', count(log.compactions.movedBytes)],
    ['cold reads', count(log.coldReads.count)],
    ['bytes that they read', count(log.coldReads.bytes)],
    ['bucket of the oldest message', escapeHtml(log.oldest?.bucket ?? '–')],
    ['resident memory', count(memory.rssBytes)],
    ['budget', count(memory.budgetBytes)],
  ],
)}
<h2>Messages</h2>
${table(
  ['', 'per second', 'in all'],
  [
    ['published', count(rates.publishedMessages), count(totals.publishedMessages)],
    ['delivered', count(rates.deliveredMessages), count(totals.deliveredMessages)],
    ['acked', count(rates.ackedMessages), count(totals.ackedMessages)],
    ['redelivered', '', count(totals.redeliveredMessages)],
    ['refused', '', count(refused(totals))],
  ],
)}
<h2>Buckets</h2>
<p>${buckets.exact ? '' : 'At least '}${count(buckets.count)} with ${count(buckets.ready)} messages ready and
${count(buckets.unacked)} unacked; the longest:</p>
${table(['bucket', 'ready', 'unacked', 'consumers'], buckets.top.slice(0, ROWS_MAX).map(bucketRow))}
<h2>Connections</h2>
<p>${count(connections.intake)} producers, ${count(connections.exhaust)} consumers,
${count(connections.refused)} refused.</p>
${table(
  ['peer', 'side', 'bucket', 'messages', 'idle ms'],
  connections.list.slice(0, ROWS_MAX).map(connectionRow),
)}`;
}

function refused(totals: Snapshot['totals']): number {
  return Object.values(totals.refused).reduce((sum, value) => sum + value, 0);
}

function bucketRow(bucket: BucketSnapshot): string[] {
  return [
    escapeHtml(bucket.id),
    `${bucket.exact ? '' : '≥ '}${count(bucket.ready)}`,
    count(bucket.unacked),
    count(bucket.consumers),
  ];
}

function connectionRow(connection: ConnectionSnapshot): string[] {
  const { peer, side, wire, bucket, messages, idleMs } = connection;
  const where = `${side} ${wire}`;
  return [
    escapeHtml(peer),
    escapeHtml(where),
    escapeHtml(bucket ?? ''),
    count(messages),
    count(idleMs),
  ];
}

/** Cells are HTML already; all columns but the first hold numbers. */
function table(heads: string[], rows: string[][]): string {
  const cell = (tag: string) => (text: string, index: number) =>
    `<${tag}${index > 0 ? ' class="number"' : ''}>${text}</${tag}>`;
  const head = heads.map(cell('th')).join('');
  const body = rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('\n');
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`;
}

function count(value: number): string {
  return escapeHtml(Number(value).toLocaleString('en-US', { maximumFractionDigits: 1 }));
}

function escapeHtml(text: unknown): string {
  return String(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
