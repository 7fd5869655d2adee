// Lines for the operator.

export interface Notices {
  /** `kind` is stable and is what repeats are limited by. Never throws. */
  notice(level: 'info' | 'warn' | 'error', kind: string, text: string, fields?: object): void;
}
