import { owned } from './text.js';

/** The id of a dialog (RFC 3261 section 12) from our side; for the peer, local and remote tag are exchanged. */
export interface DialogId {
  readonly callId: string;
  readonly localTag: string;
  /** '' when the peer gave none, as RFC 2543 allows. */
  readonly remoteTag: string;
}

/** The Replaces header of an INVITE: the dialog it is to replace (RFC 3891). */
export interface Replaces {
  readonly dialog: DialogId;
  /** To be replaced only while it is unanswered. */
  readonly earlyOnly: boolean;
}

/** Characters; longer than the Call-IDs and tags of any phone system. */
const MAX_LENGTH = 1_024;

const CALL_ID = /^[^\s,;]+$/;
const TAG = /^[\w.!%*+`'~-]+$/;

/**
 * Reads a Replaces value: one Call-ID, one `to-tag`, which is our tag, and one `from-tag` (RFC 3891 section 6.1). Undefined
 * for anything else. A value that still has the escapes of a Refer-To URI is understood too.
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

/** Whether two ids mean the same dialog: in a Replaces, a tag of 0 also means no tag (RFC 3891 section 6.1). */
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
