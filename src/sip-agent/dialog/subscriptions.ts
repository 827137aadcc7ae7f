import { ownContact } from '../wire/client-headers.js';
import { Dialog } from './dialog.js';
import type { StopTimer, AgentClock } from '../environment.js';
import type { IncomingRequest } from '../transaction/incoming-request.js';
import type { SipResponse } from '../syntax/message.js';
import { parseDecimal } from '../syntax/grammar.js';
import type { WireClient } from '../wire/client.js';

/** An hour: what a subscription lasts at most, and when nobody says how long. */
const LONGEST_S = 3_600;
const MAX_SUBSCRIPTIONS = 10_000;

interface Subscription {
  readonly dialog: Dialog;
  readonly client: WireClient;
  readonly cancelExpiry: StopTimer;
}

/**
 * Dialogs that a SUBSCRIBE from the network made and a client accepted: what its NOTIFYs go out on (RFC 6665 section
 * 4.2). They are not refreshed: whoever wants more subscribes again.
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

  /** Takes a SUBSCRIBE that is being accepted. Returns the dialog's id; empty when there are too many. */
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

  /** The dialog, when it is this client's. */
  get(id: string, client: WireClient): Dialog | undefined {
    const subscription = this.#subscriptions.get(id);
    return subscription?.client === client ? subscription.dialog : undefined;
  }

  /** Does nothing the second time. */
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
