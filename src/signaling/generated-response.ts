/**
 * Whether a final response came from a peer. The SIP server generates one when none arrives (RFC 3261 section 8.1.3.1: 408
 * after a timeout, 503 when the request could not be sent); it has no To tag, which every peer adds (section 8.2.6.2).
 */
export function isFromPeer(response: { get(name: 'To'): string | undefined }): boolean {
  return /;\s*tag\s*=/i.test(response.get('To') ?? ';tag=');
}

/** The meaning of a status that the SIP server generated itself. */
export function describeGenerated(status: number): string {
  return status === 408 ? 'no answer' : 'the request could not be sent, or its connection was lost';
}
