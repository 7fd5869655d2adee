// All deliberate faults, room by room.

import type { Plant } from './plant.ts';
import { ASSEMBLY_PLANTS } from './plants/assembly.ts';
import { BACKUP_PLANTS } from './plants/backup.ts';
import { CORE_PLANTS } from './plants/core.ts';
import { DELIVERY_PLANTS } from './plants/delivery.ts';
import { IO_PLANTS } from './plants/io.ts';
import { LOG_PLANTS } from './plants/log.ts';

export const PLANTS: readonly Plant[] = [
  ...LOG_PLANTS,
  ...CORE_PLANTS,
  ...IO_PLANTS,
  ...ASSEMBLY_PLANTS,
  ...DELIVERY_PLANTS,
  ...BACKUP_PLANTS,
];
