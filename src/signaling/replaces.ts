import { owned } from './text.js';

/** A dialog as we have it (RFC 3261 section 12): the peer knows the tags the other way round. */
export interface DialogId {
  readonly callId: string;
  readonly localTag: string;
  /** '' of a peer that gave none, as RFC 2543 let it. */
  readonly remoteTag: string;
}

/** The dialog an INVITE wants to take the place of (RFC 3891). */
export interface Replaces {
  readonly dialog: DialogId;
  /** Only if it has not been answered yet. */
  readonly earlyOnly: boolean;
}

/** Longer than any that is sent: no phone system's Call-ID or tag comes near. */
const MAX_LENGTH = 1_024;

const CALL_ID = /^[^\s,;]+$/;
const TAG = /^[\w.!%*+`'~-]+$/;

/**
 * Reads the header's value: exactly one, with one `to-tag`, which is our tag, and one `from-tag` (RFC 3891 section 6.1).
 * Undefined for anything else. A value that was not unescaped on its way out of a Refer-To is understood all the same.
 */
export function readReplaces(value: string): Replaces | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  const text = value.includes(';') ? value : unescaped(value);
  const [callId = '', ...params] = text.split(';').map((part) => part.trim());
  const all = params.map((param) => param.split('=', 2).map((part) => part.trim()));
  const valuesOf = (name: string): string[] =>
    all.filter(([key]) => key?.toLowerCase() === name).map(([, given = '']) => given);
  const [toTag = '', ...moreTo] = valuesOf('to-tag');
  const [fromTag = '', ...moreFrom] = valuesOf('from-tag');
  const isOne = moreTo.length + moreFrom.length === 0;
  if (!isOne || !CALL_ID.test(callId) || !TAG.test(toTag) || !TAG.test(fromTag)) return undefined;
  const dialog = { callId: owned(callId), localTag: owned(toTag), remoteTag: owned(fromTag) };
  return { dialog, earlyOnly: valuesOf('early-only').length > 0 };
}

/** Whether it is that dialog which is meant: a tag of 0 also means none (RFC 3891 section 6.1). */
export function isMeant(wanted: DialogId, dialog: DialogId): boolean {
  const isSameTag = (tag: string, ours: string): boolean => tag === ours || (tag === '0' && ours === '');
  return (
    wanted.callId === dialog.callId &&
    isSameTag(wanted.localTag, dialog.localTag) &&
    isSameTag(wanted.remoteTag, dialog.remoteTag)
  );
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
