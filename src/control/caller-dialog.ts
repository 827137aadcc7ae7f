import {
  RenegotiationRefused,
  type CallDialog,
  type DialogHandlers,
  type IncomingInvite,
} from '../signaling/sip-endpoint.js';
import type { DialogId } from '../signaling/replaces.js';

/** Q.850 16: normal call clearing. */
const REPLACED = { cause: 16, text: 'replaced by another call' };

/** The dialog with one caller, from its INVITE on. */
interface CallerLeg {
  dialog: CallDialog | undefined;
  /** How it ended, if by itself. */
  ended: { byPeer: boolean; reason: string } | undefined;
  /** The ACK that came before the leg was the caller's. */
  early: { readonly sdp: string | undefined } | undefined;
}

const newLeg = (): CallerLeg => ({ dialog: undefined, ended: undefined, early: undefined });

/**
 * The caller's dialog, and those that replace it one after the other (RFC 3891). Only the events of the present one reach
 * the handlers. Owns it until it has ended.
 */
export class CallerDialog {
  readonly #handlers: DialogHandlers;
  readonly #onOver: (dialog: DialogId) => void;
  #leg: CallerLeg | undefined;
  /** Being answered, to replace `#leg`. */
  #successor: CallerLeg | undefined;

  /** `onOver` is called for every dialog that is over, however it ended. */
  constructor(handlers: DialogHandlers, onOver: (dialog: DialogId) => void) {
    this.#handlers = handlers;
    this.#onOver = onOver;
  }

  get current(): CallDialog | undefined {
    return this.#leg?.dialog;
  }

  /** Answers the call's INVITE. Rejects as `IncomingInvite.answer` does. */
  async answer(invite: IncomingInvite, localSdp: string): Promise<void> {
    const leg = (this.#leg = newLeg());
    leg.dialog = await invite.answer(localSdp, this.#handlersOf(leg));
    if (leg.ended) this.#onOver(leg.dialog.id);
  }

  /**
   * Answers an INVITE with Replaces, and makes its dialog the caller's; runs `adopt`, then sends BYE in the one replaced.
   * Rejects, with the dialog as it was, when the INVITE cannot be answered.
   */
  async replace(invite: IncomingInvite, localSdp: string, adopt: () => Promise<void>): Promise<void> {
    const successor = (this.#successor = newLeg());
    const replaced = this.#leg;
    try {
      successor.dialog = await invite.answer(localSdp, this.#handlersOf(successor));
      this.#leg = successor;
      if (successor.ended) this.#onOver(successor.dialog.id);
    } finally {
      this.#successor = undefined;
      // Held back while another dialog was about to replace it.
      if (this.#leg === replaced && replaced?.ended) this.#handlers.onEnd(replaced.ended);
    }
    await adopt();
    if (replaced?.dialog && !replaced.ended) this.#end(replaced.dialog, REPLACED).catch(() => undefined);
    if (successor.early) this.#handlers.onAck(successor.early.sdp);
    if (successor.ended) this.#handlers.onEnd(successor.ended);
  }

  /** Sends BYE unless the dialog has ended, or there never was one. Never rejects. */
  async bye(reason?: { cause: number; text: string }): Promise<void> {
    const leg = this.#leg;
    if (leg?.dialog && !leg.ended) await this.#end(leg.dialog, reason);
  }

  async #end(dialog: CallDialog, reason: { cause: number; text: string } | undefined): Promise<void> {
    this.#onOver(dialog.id);
    await dialog.bye(reason);
  }

  #handlersOf(leg: CallerLeg): DialogHandlers {
    return {
      onEnd: (end) => {
        leg.ended = end;
        if (leg.dialog) this.#onOver(leg.dialog.id);
        if (leg === this.#leg && !this.#successor) this.#handlers.onEnd(end);
      },
      onAck: (sdp) => {
        if (leg === this.#leg) this.#handlers.onAck(sdp);
        else if (leg === this.#successor) leg.early = { sdp };
      },
      onRenegotiate: (request) => {
        if (leg === this.#leg) return this.#handlers.onRenegotiate(request);
        return Promise.reject(new RenegotiationRefused(481, 'another call has taken this one’s place'));
      },
      onDigit: (digit) => {
        if (leg === this.#leg) this.#handlers.onDigit?.(digit);
      },
    };
  }
}
