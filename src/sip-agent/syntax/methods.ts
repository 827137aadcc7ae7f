import { RELIABLE, TIMER } from './option-tags.js';

/** Methods the agent serves, by itself or through its client. */
const SERVED = ['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS', 'INFO', 'UPDATE', 'PRACK', 'NOTIFY', 'MESSAGE', 'REFER'];

/** Option tags a request may require of us. Replaces (RFC 3891) is implemented by the client. */
export const EXTENSIONS = [RELIABLE, TIMER, 'replaces'];

export const SUPPORTED = EXTENSIONS.join(', ');

/** Media types that the client understands. */
export const ACCEPT = 'application/sdp, multipart/mixed, multipart/alternative, multipart/related';

/** Known methods that the agent does not serve: they get 405, not 501. */
const KNOWN_ONLY = ['REGISTER', 'SUBSCRIBE', 'PUBLISH'];

/** Methods that are valid only inside a dialog. */
const IN_DIALOG_ONLY = new Set(['BYE', 'UPDATE', 'INFO', 'PRACK']);

/** Requests and 2xx responses of these carry a Contact that becomes the remote target (RFC 3261, 3311, 3515, 6665). */
const TARGET_REFRESH = new Set(['INVITE', 'UPDATE', 'SUBSCRIBE', 'NOTIFY', 'REFER']);

export function isInDialogOnly(method: string): boolean {
  return IN_DIALOG_ONLY.has(method);
}

/** Whether the method is a session refresh request (RFC 4028 section 3): its 2xx restarts the session interval. */
export function refreshesSession(method: string): boolean {
  return method === 'INVITE' || method === 'UPDATE';
}

/** Whether the agent supports the extension of that option tag, given in lower case. */
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

  /** `refused`: methods that the agent could pass on, but that no client handles. */
  constructor(refused: readonly string[] = []) {
    this.#served = SERVED.filter((method) => !refused.includes(method));
    this.allow = this.#served.join(', ');
  }

  /** The status that refuses an unknown method (501) or one that is not served (405). */
  refusalOf(method: string): 405 | 501 | undefined {
    if (this.#served.includes(method)) return undefined;
    return SERVED.includes(method) || KNOWN_ONLY.includes(method) ? 405 : 501;
  }

  /** The status for a request outside any dialog when no client handles its method. */
  statusWithoutClient(method: string): number {
    return method === 'OPTIONS' ? 200 : (this.refusalOf(method) ?? 503);
  }
}
