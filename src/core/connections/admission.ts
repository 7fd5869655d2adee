// Who may connect: a cap on all connections, and one for each remote address, so that one machine
// cannot take every place. Counts, and says why not; closing the link is the broker's.

/** Why a connection is turned away. */
export type AdmissionRefusal = 'full' | 'address';

export interface AdmissionLimits {
  connectionsMax: number;
  connectionsPerAddressMax: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #byGroup = new Map<string, number>();
  #open = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open;
  }

  /** Remote addresses, or IPv6 networks, with a connection. */
  get groups(): number {
    return this.#byGroup.size;
  }

  /**
   * Counts a connection from `address`, or says why it may not be: then it is not counted. Without
   * an address, and from loopback, only the cap on all of them holds.
   */
  enter(address: string | undefined): AdmissionRefusal | undefined {
    if (this.#open >= this.#limits.connectionsMax) return 'full';
    const group = groupOf(address);
    if (group !== undefined) {
      const count = this.#byGroup.get(group) ?? 0;
      if (count >= this.#limits.connectionsPerAddressMax) return 'address';
      this.#byGroup.set(group, count + 1);
    }
    this.#open++;
    return undefined;
  }

  /** A connection that was counted is gone. */
  leave(address: string | undefined): void {
    this.#open--;
    const group = groupOf(address);
    if (group === undefined) return;
    const count = this.#byGroup.get(group)! - 1;
    if (count > 0) this.#byGroup.set(group, count);
    else this.#byGroup.delete(group);
  }
}

const LOOPBACK = /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/i;
const MAPPED = /^::ffff:(?=\d+\.)/i;

/**
 * What connections are counted by: an IPv4 address, or the first 64 bits of an IPv6 address, since
 * one machine has a network of that size to choose from. Undefined for loopback.
 */
export function groupOf(address: string | undefined): string | undefined {
  if (address === undefined || LOOPBACK.test(address)) return undefined;
  const plain = address.replace(MAPPED, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail = ''] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const gap = plain.includes('::') ? Math.max(0, 8 - left.length - right.length) : 0;
  const words = [...left, ...new Array<string>(gap).fill('0'), ...right];
  return `${words
    .slice(0, 4)
    .map((word) => Number.parseInt(word, 16).toString(16))
    .join(':')}::/64`;
}
