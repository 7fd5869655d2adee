// How long a consumer may hold a delivery without a word, where a rule bounds that: from when it
// was sent, and anew from each byte that came for it. What happens then is the consumer's matter.

export class Lease {
  #sinceMs = 0;
  /** Of the delivery that is held, in ms; 0: as long as the connection lives. */
  ms = 0;

  /** A delivery is sent: its lease is what the rule says then. */
  begin(ms: number, nowMs: number): void {
    this.ms = ms;
    this.#sinceMs = nowMs;
  }

  /** Something was heard of who holds it. */
  renew(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** Until when the silence may last; `ruleMs`: what the rule says now, which holds if longer. */
  endsMs(ruleMs: number): number {
    if (this.ms > 0) this.ms = ruleMs === 0 ? 0 : Math.max(this.ms, ruleMs);
    return this.ms === 0 ? Number.POSITIVE_INFINITY : this.#sinceMs + this.ms;
  }
}
