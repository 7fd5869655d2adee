// All planted bugs, room by room.

import type { Mutant } from './mutant.ts';
import { ASSEMBLY } from './mutants/assembly.ts';
import { CLUSTER } from './mutants/cluster.ts';
import { CORE_BUCKETS } from './mutants/core/buckets.ts';
import { CORE_CLUSTER } from './mutants/core/cluster.ts';
import { CORE_COMMIT } from './mutants/core/commit.ts';
import { CORE_CONNECTIONS } from './mutants/core/connections.ts';
import { CORE_DEDUP } from './mutants/core/dedup.ts';
import { CORE_DELIVERY } from './mutants/core/delivery.ts';
import { CORE_EXPIRING } from './mutants/core/expiring.ts';
import { CORE_FAIRNESS } from './mutants/core/fairness.ts';
import { CORE_INTAKE_LATER } from './mutants/core/intake-later.ts';
import { CORE_LATER } from './mutants/core/later.ts';
import { CORE_MEMORY } from './mutants/core/memory.ts';
import { CORE_MOVING } from './mutants/core/moving.ts';
import { CORE_OTHERS } from './mutants/core/others.ts';
import { CORE_PAUSES } from './mutants/core/pauses.ts';
import { CORE_SETTINGS } from './mutants/core/settings.ts';
import { CORE_SOURCES } from './mutants/core/sources.ts';
import { CORE_WAITING } from './mutants/core/waiting.ts';
import { IO } from './mutants/io.ts';
import { LOG_BASE } from './mutants/log/base.ts';
import { LOG_BESIDE } from './mutants/log/beside.ts';
import { LOG_COMPACTION } from './mutants/log/compaction.ts';
import { LOG_FOLLOWING } from './mutants/log/following.ts';
import { LOG_INDEX } from './mutants/log/index.ts';
import { LOG_PLACES } from './mutants/log/places.ts';
import { LOG_READ_CACHE } from './mutants/log/read-cache.ts';
import { LOG_RECOVERY } from './mutants/log/recovery.ts';
import { LOG_SCAN } from './mutants/log/scan.ts';
import { LOG_SEGMENTS } from './mutants/log/segments.ts';

export const MUTANTS: readonly Mutant[] = [
  ...ASSEMBLY,
  ...IO,
  ...CLUSTER,
  ...LOG_SEGMENTS,
  ...LOG_RECOVERY,
  ...LOG_SCAN,
  ...LOG_COMPACTION,
  ...LOG_PLACES,
  ...LOG_FOLLOWING,
  ...LOG_INDEX,
  ...LOG_READ_CACHE,
  ...LOG_BASE,
  ...LOG_BESIDE,
  ...CORE_CLUSTER,
  ...CORE_COMMIT,
  ...CORE_CONNECTIONS,
  ...CORE_BUCKETS,
  ...CORE_SOURCES,
  ...CORE_DELIVERY,
  ...CORE_EXPIRING,
  ...CORE_FAIRNESS,
  ...CORE_DEDUP,
  ...CORE_INTAKE_LATER,
  ...CORE_LATER,
  ...CORE_MEMORY,
  ...CORE_MOVING,
  ...CORE_OTHERS,
  ...CORE_PAUSES,
  ...CORE_SETTINGS,
  ...CORE_WAITING,
];
