import type { MediaEngine } from '../media/engine.js';
import type { IncomingInvite, SipRejection } from '../signaling/sip-endpoint.js';
import { readReplaces, type DialogId } from '../signaling/replaces.js';
import { callEnd, type CallEnd } from './call-end.js';
import { replacingInvite, type Report } from './call-reporter.js';
import type { CallerDialog } from './caller-dialog.js';
import type { CallerMedia } from './caller-media.js';
import type { EndedDialogs } from './ended-dialogs.js';
import { endOfFault } from './fault-end.js';

/** A call whose caller can be replaced. */
interface Replaceable {
  /** Whether that is its caller's dialog. */
  isOf(dialog: DialogId): boolean;
}

/**
 * What an INVITE with Replaces is for (RFC 3891 section 3): the call whose caller it replaces, or why it is refused. That it
 * comes from who may call, and knows the tags of the dialog, is its right to do so.
 */
export function replacedBy<C extends Replaceable>(
  invite: IncomingInvite,
  header: string,
  { calls, ended }: { calls: Iterable<C>; ended: EndedDialogs },
): { readonly call: C } | { readonly refusal: CallEnd } {
  const replaces = readReplaces(header);
  if (!replaces || invite.header('Join') !== undefined) {
    return { refusal: callEnd.replacesRefused(400, 'Replaces cannot be read') };
  }
  const { dialog, earlyOnly } = replaces;
  for (const call of calls) {
    if (!call.isOf(dialog)) continue;
    if (earlyOnly) return { refusal: callEnd.replacesRefused(486, 'the call to be replaced is answered already') };
    return { call };
  }
  if (ended.has(dialog)) return { refusal: callEnd.replacesRefused(603, 'the call to be replaced is over') };
  return { refusal: callEnd.replacesRefused(481, 'no such call to be replaced') };
}

export interface HandoverParts {
  readonly engine: MediaEngine;
  readonly media: CallerMedia;
  readonly dialog: CallerDialog;
  readonly rtpPort: number;
  readonly report: Report;
  /** Whether the call is not over yet. */
  readonly isOpen: () => boolean;
}

/**
 * Makes the caller of `invite` a call's caller: its media is prepared, its INVITE answered, its RTP taken, and then the one so
 * far gets its BYE. Resolves to whether it could be done; if not, the INVITE is refused and all is as it was. Never rejects.
 */
export async function handOver(invite: IncomingInvite, parts: HandoverParts): Promise<boolean> {
  const { report, isOpen } = parts;
  try {
    await attempt(invite, parts);
    return true;
  } catch (error) {
    const { rejection = { status: 500 }, detail } = endOfFault(error);
    report({ event: 'call.replace_failed', ...replacingInvite(invite), detail });
    refuse(invite, isOpen() ? rejection : { status: 603 }, report);
    return false;
  }
}

/** A fault in it is no fault of the call's. */
function refuse(invite: IncomingInvite, rejection: SipRejection, report: Report): void {
  try {
    invite.reject(rejection);
  } catch (error) {
    report({ event: 'call.error', err: error });
  }
}

async function attempt(
  invite: IncomingInvite,
  { engine, media, dialog, rtpPort, isOpen }: HandoverParts,
): Promise<void> {
  const offer = engine.accept(invite.offer, invite.source.address);
  const prepared = await media.prepare(offer, rtpPort, invite.localAddress, invite.source.address);
  try {
    if (!isOpen()) throw new Error('the call is over');
    await dialog.handOver(invite, prepared.leg.localSdp, () => media.adopt(prepared));
  } finally {
    await media.discard(prepared);
  }
}
