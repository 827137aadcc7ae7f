import { ownContact } from '../wire/client-headers.js';
import { Dialog } from './dialog.js';
import type { StopTimer, AgentClock } from '../environment.js';
import type { IncomingRequest } from '../transaction/incoming-request.js';
import type { SipResponse } from '../syntax/message.js';
import { parseDecimal } from '../syntax/grammar.js';
import type { WireClient } from '../wire/client.js';

/** One hour: the longest subscription, and the default. */
const LONGEST_S = 3_600;
const MAX_SUBSCRIPTIONS = 10_000;

interface Subscription {
  readonly dialog: Dialog;
  readonly client: WireClient;
  readonly cancelExpiry: StopTimer;
}

/**
 * Dialogs of SUBSCRIBEs from the network that a client accepted; its NOTIFYs are sent in them (RFC 6665 section 4.2). They
 * cannot be refreshed: a subscriber has to subscribe again.
 */
export class Subscriptions {
  readonly #clock: AgentClock;
  /** By dialog id. */
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** Adds an accepted SUBSCRIBE. Returns the dialog's id; '' when there are too many. */
  add(incoming: IncomingRequest, accepted: SipResponse, client: WireClient): string {
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) return '';
    const dialog = Dialog.fromInvite(incoming, ownContact(incoming.flow));
    const expires = accepted.get('expires') ?? incoming.message.get('expires') ?? '';
    const cancelExpiry = this.#clock.after(1_000 * (parseDecimal(expires, LONGEST_S) ?? LONGEST_S), () =>
      this.remove(dialog.id),
    );
    this.remove(dialog.id);
    this.#subscriptions.set(dialog.id, { dialog, client, cancelExpiry });
    return dialog.id;
  }

  /** The dialog, if it belongs to this client. */
  get(id: string, client: WireClient): Dialog | undefined {
    const subscription = this.#subscriptions.get(id);
    return subscription?.client === client ? subscription.dialog : undefined;
  }

  /** Idempotent. */
  remove(id: string): void {
    this.#subscriptions.get(id)?.cancelExpiry();
    this.#subscriptions.delete(id);
  }

  clientGone(client: WireClient): void {
    for (const [id, subscription] of this.#subscriptions) if (subscription.client === client) this.remove(id);
  }

  clear(): void {
    for (const id of this.#subscriptions.keys()) this.remove(id);
  }
}
