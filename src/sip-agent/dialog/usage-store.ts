import { dialogId } from './dialog.js';
import type { InviteUsage } from './invite-usage.js';
import type { Envelope } from '../syntax/message.js';
import type { WireClient } from '../wire/client.js';

/** All INVITE dialogs, by id. */
export class UsageStore {
  readonly #usages = new Map<string, InviteUsage>();

  get size(): number {
    return this.#usages.size;
  }

  get(id: string): InviteUsage | undefined {
    return this.#usages.get(id);
  }

  /** False when another dialog has the same id. */
  add(usage: InviteUsage): boolean {
    if (this.#usages.has(usage.id)) return false;
    this.#usages.set(usage.id, usage);
    return true;
  }

  /** The dialog of a request from the network (RFC 3261 section 12.2.2). */
  match({ callId, from, to }: Envelope): InviteUsage | undefined {
    if (to.tag === undefined) return undefined;
    // A caller of RFC 2543 has no tag (RFC 3261 section 12.1.1).
    const asCallee = this.#usages.get(dialogId(callId, from.tag ?? ''));
    if (asCallee?.dialog.role === 'uas' && asCallee.dialog.localTag === to.tag) return asCallee;
    const asCaller = this.#usages.get(dialogId(callId, to.tag));
    return asCaller?.dialog.role === 'uac' && asCaller.dialog.remoteTag === from.tag ? asCaller : undefined;
  }

  ownedBy(client: WireClient): InviteUsage[] {
    return [...this.#usages.values()].filter((usage) => usage.client === client);
  }

  /** Ends a dialog and removes it. Idempotent. */
  remove(usage: InviteUsage): void {
    if (this.#usages.get(usage.id) !== usage) return;
    this.#usages.delete(usage.id);
    usage.end();
  }

  clear(): void {
    for (const usage of this.#usages.values()) this.remove(usage);
  }
}
