/**
 * Whether a peer sent a final response. What the SIP server makes up for one that never came (RFC 3261 section 8.1.3.1: 408
 * when nobody answered, 503 when the request could not be sent) has no To tag; whoever answers adds one (section 8.2.6.2).
 */
export function wasHeard(response: { get(name: 'To'): string | undefined }): boolean {
  return /;\s*tag\s*=/i.test(response.get('To') ?? ';tag=');
}

/** What a response means that was not heard. */
export function unheard(status: number): string {
  return status === 408 ? 'no answer' : 'the request could not be sent, or its connection was lost';
}
