// What kinds of lines and reasons of moves (layout.ts) are called, for people and programs.

import {
  KIND_DEAD,
  KIND_LIVE,
  KIND_SETTINGS,
  REASON_COPIED,
  REASON_DELIVERIES,
  REASON_EXPIRED,
  REASON_OVERFLOW,
  REASON_REDRIVEN,
  REASON_REJECTED,
  REASON_REPLACED,
} from '../../../assembly/layout-placed.ts';
import type { Reason } from '../../contract/dead-messages.ts';

export const KIND_NAMES: Readonly<Record<number, string>> = {
  [KIND_LIVE]: 'live',
  [KIND_DEAD]: 'dead',
  [KIND_SETTINGS]: 'settings',
};

export const REASON_NAMES: Readonly<Record<number, Reason>> = {
  [REASON_DELIVERIES]: 'max-deliveries',
  [REASON_REJECTED]: 'rejected',
  [REASON_EXPIRED]: 'expired',
  [REASON_OVERFLOW]: 'overflow',
  [REASON_REDRIVEN]: 'redriven',
  [REASON_COPIED]: 'copied',
  [REASON_REPLACED]: 'replaced',
};
