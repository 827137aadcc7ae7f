import type { MediaEngine } from '../media/engine.js';
import type { IncomingInvite, SipRejection } from '../signaling/sip-endpoint.js';
import { readReplaces, type DialogId } from '../signaling/replaces.js';
import { callEnd, endOfFault, type CallEnd } from './call-end.js';
import { replacingInvite, type Report } from './call-reporter.js';
import type { CallerDialog } from './caller-dialog.js';
import type { CallerMedia } from './caller-media.js';
import type { EndedDialogs } from './ended-dialogs.js';

/** A call whose caller can be replaced. */
interface Replaceable {
  /** Whether `dialog` is the one with its caller. */
  hasDialog(dialog: DialogId): boolean;
}

/**
 * The call whose caller an INVITE with Replaces is to replace (RFC 3891 section 3), or why it is refused. Its sender is
 * authorised by `sip.allow`, and by knowing the tags of the dialog.
 */
export function callToReplace<C extends Replaceable>(
  invite: IncomingInvite,
  header: string,
  { calls, ended }: { calls: Iterable<C>; ended: EndedDialogs },
): { readonly call?: C; readonly refusal?: CallEnd } {
  const replaces = readReplaces(header);
  if (!replaces || invite.header('Join') !== undefined) {
    return { refusal: callEnd.replacesRefused(400, 'Replaces cannot be read') };
  }
  const { dialog, earlyOnly } = replaces;
  for (const call of calls) {
    if (!call.hasDialog(dialog)) continue;
    if (earlyOnly) return { refusal: callEnd.replacesRefused(486, 'the call to be replaced is answered already') };
    return { call };
  }
  if (ended.has(dialog)) return { refusal: callEnd.replacesRefused(603, 'the call to be replaced is over') };
  return { refusal: callEnd.replacesRefused(481, 'no such call to be replaced') };
}

export interface ReplacementParts {
  readonly engine: MediaEngine;
  readonly media: CallerMedia;
  readonly dialog: CallerDialog;
  readonly rtpPort: number;
  readonly report: Report;
  /** Whether the call is not over yet. */
  readonly isOpen: () => boolean;
}

/**
 * Replaces a call's caller by that of `invite`: prepares its media, answers the INVITE, takes its RTP, and then sends BYE to
 * the caller before it. Resolves to true when that is done, and to false when the INVITE was refused and the call goes on as
 * before. Never rejects.
 */
export async function replaceCaller(invite: IncomingInvite, parts: ReplacementParts): Promise<boolean> {
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

/** An error here does not end the call. */
function refuse(invite: IncomingInvite, rejection: SipRejection, report: Report): void {
  try {
    invite.reject(rejection);
  } catch (error) {
    report({ event: 'call.error', err: error });
  }
}

async function attempt(
  invite: IncomingInvite,
  { engine, media, dialog, rtpPort, isOpen }: ReplacementParts,
): Promise<void> {
  const offer = engine.accept(invite.offer, invite.source.address);
  const prepared = await media.prepare(offer, rtpPort, invite.localAddress, invite.source.address);
  try {
    if (!isOpen()) throw new Error('the call is over');
    await dialog.replace(invite, prepared.leg.localSdp, () => media.adopt(prepared));
  } finally {
    await media.discard(prepared);
  }
}
