import type { Clock } from '../clock.js';
import { isMeant, type DialogId } from '../signaling/replaces.js';

/** 64·T1: by then everything has arrived that a peer sent before it knew of the end. */
const REMEMBERED_MS = 32_000;
const MAX_REMEMBERED = 1_000;

/** The dialogs that ended lately: an INVITE that is to replace one of them gets 603 (RFC 3891 section 3). */
export class EndedDialogs {
  readonly #clock: Clock;
  readonly #ended: { readonly dialog: DialogId; readonly atMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(dialog: DialogId): void {
    this.#ended.push({ dialog, atMs: this.#clock.nowMs() });
    while (this.#ended.length > MAX_REMEMBERED || this.#isForgotten(this.#ended[0])) this.#ended.shift();
  }

  has(wanted: DialogId): boolean {
    return this.#ended.some((entry) => !this.#isForgotten(entry) && isMeant(wanted, entry.dialog));
  }

  #isForgotten(entry: { readonly atMs: number } | undefined): boolean {
    return entry !== undefined && this.#clock.nowMs() - entry.atMs > REMEMBERED_MS;
  }
}
