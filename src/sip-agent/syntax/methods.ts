import { RELIABLE, TIMER } from './option-tags.js';

/** Methods the agent takes part in. */
const SERVED = ['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS', 'INFO', 'UPDATE', 'PRACK', 'NOTIFY', 'MESSAGE', 'REFER'];

/** Option tags a request may require of us. The client sees to Replaces (RFC 3891), as to everything about a call. */
export const EXTENSIONS = [RELIABLE, TIMER, 'replaces'];

export const SUPPORTED = EXTENSIONS.join(', ');

/** Bodies that are understood, by the client if not by the agent. */
export const ACCEPT = 'application/sdp, multipart/mixed, multipart/alternative, multipart/related';

/** Methods known to mean something, though the agent itself has no use for them: 405 rather than 501. */
const KNOWN_ONLY = ['REGISTER', 'SUBSCRIBE', 'PUBLISH'];

/** Methods that make no sense outside a dialog. */
const IN_DIALOG_ONLY = new Set(['BYE', 'UPDATE', 'INFO', 'PRACK']);

/** Requests and 2xx responses of these carry a Contact that becomes the remote target (RFC 3261, 3311, 3515, 6665). */
const TARGET_REFRESH = new Set(['INVITE', 'UPDATE', 'SUBSCRIBE', 'NOTIFY', 'REFER']);

export function isInDialogOnly(method: string): boolean {
  return IN_DIALOG_ONLY.has(method);
}

/** Whether a 2xx to it makes the session's interval begin anew (RFC 4028 section 3). */
export function refreshesSession(method: string): boolean {
  return method === 'INVITE' || method === 'UPDATE';
}

/** Whether the agent has the extension of that option tag, given in lower case. */
export function isSupported(optionTag: string): boolean {
  return EXTENSIONS.includes(optionTag);
}

/** Methods whose 2xx makes a dialog (RFC 3261 section 12.1, RFC 6665 section 4.1). */
export function makesDialog(method: string): boolean {
  return method === 'INVITE' || method === 'SUBSCRIBE';
}

export function refreshesTarget(method: string): boolean {
  return TARGET_REFRESH.has(method);
}

/** Which methods are served, and how the others are refused. */
export class Methods {
  /** Value of an Allow header. */
  readonly allow: string;
  readonly #served: readonly string[];

  /** `refused`: what the agent could pass on to its clients, but none of them does anything about. */
  constructor(refused: readonly string[] = []) {
    this.#served = SERVED.filter((method) => !refused.includes(method));
    this.allow = this.#served.join(', ');
  }

  /** The status for a method nobody here understands (501) or serves (405). */
  refusalOf(method: string): 405 | 501 | undefined {
    if (this.#served.includes(method)) return undefined;
    return SERVED.includes(method) || KNOWN_ONLY.includes(method) ? 405 : 501;
  }

  /** How a request outside any dialog is answered when no client wants requests of its method. */
  statusWithoutClient(method: string): number {
    return method === 'OPTIONS' ? 200 : (this.refusalOf(method) ?? 503);
  }
}
