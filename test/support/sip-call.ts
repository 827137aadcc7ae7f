import { randomBytes } from 'node:crypto';
import { sipText, type SipPeer, type SipText } from './sip-peer.js';

export const OFFER = [
  'v=0',
  'o=peer 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 0',
  'a=sendrecv',
  '',
].join('\r\n');

export const ANSWER = OFFER.replace('o=peer 1 1', 'o=agent 7 7').replace('40000', '50000');

export interface RequestParts {
  readonly uri?: string;
  readonly branch?: string;
  readonly sequence?: number;
  readonly toTag?: string;
  readonly fromTag?: string;
  readonly contact?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

export function branch(): string {
  return `z9hG4bK${randomBytes(8).toString('hex')}`;
}

/** One call as a peer makes or takes it: keeps the tags and numbers, writes the messages, sends them at once. */
export class PeerCall {
  readonly callId = randomBytes(8).toString('hex');
  readonly localTag = randomBytes(4).toString('hex');
  readonly target: string;
  remoteTag = '';
  sequence = 1;
  /** Top Via branch of the last INVITE. */
  inviteBranch = '';

  constructor(
    readonly peer: SipPeer,
    agentPort: number,
  ) {
    this.target = `sip:1000@127.0.0.1:${agentPort}`;
  }

  /** Writes a request of the caller's side. */
  request(method: string, parts: RequestParts = {}): string {
    const { peer } = this;
    const toTag = parts.toTag ?? this.remoteTag;
    const body = parts.body ?? '';
    const lines = [
      `${method} ${parts.uri ?? this.target} SIP/2.0`,
      `Via: SIP/2.0/${peer.sentBy};rport;branch=${parts.branch ?? branch()}`,
      'Max-Forwards: 70',
      `From: "Peer" <sip:peer@127.0.0.1>;tag=${parts.fromTag ?? this.localTag}`,
      `To: <sip:1000@127.0.0.1>${toTag === '' ? '' : `;tag=${toTag}`}`,
      `Call-ID: ${this.callId}`,
      `CSeq: ${parts.sequence ?? this.sequence} ${method}`,
      `Contact: ${parts.contact ?? peer.contact}`,
      ...(parts.headers ?? []),
    ];
    const typed = body === '' || lines.some((line) => /^Content-Type:/i.test(line));
    return sipText(typed ? lines : [...lines, 'Content-Type: application/sdp'], body);
  }

  send(method: string, parts: RequestParts = {}): string {
    const text = this.request(method, parts);
    this.peer.send(text);
    return text;
  }

  /** Sends an INVITE with an offer, new or inside the call; returns its text, to be sent again. */
  invite(parts: RequestParts = {}): string {
    this.inviteBranch = parts.branch ?? branch();
    return this.send('INVITE', { body: OFFER, ...parts, branch: this.inviteBranch });
  }

  /** Sends the ACK: for a 2xx with a branch of its own, for a refusal with the INVITE's. */
  ack(response: SipText, parts: RequestParts = {}): void {
    this.remoteTag = response.tag('To');
    const refused = response.status >= 300;
    this.send('ACK', {
      ...(refused ? { branch: this.inviteBranch } : { uri: remoteTarget(response, this) }),
      ...parts,
    });
  }

  cancel(): void {
    this.send('CANCEL', { branch: this.inviteBranch, toTag: '' });
  }

  /** Takes back an INVITE inside the call. */
  cancelInside(): void {
    this.send('CANCEL', { branch: this.inviteBranch });
  }

  /** Sends the next request of the call. */
  next(method: string, parts: RequestParts = {}): void {
    this.sequence += 1;
    this.send(method, parts);
  }

  /** INVITE, 200, ACK. */
  async establish(parts: RequestParts = {}): Promise<SipText> {
    this.invite(parts);
    const answer = await this.peer.next('200 INVITE');
    this.ack(answer);
    return answer;
  }
}

function remoteTarget(response: SipText, call: PeerCall): string {
  return /<([^>]+)>/.exec(response.header('Contact'))?.[1] ?? call.target;
}

/** The response of a peer to a request it was sent. */
export function respond(
  peer: SipPeer,
  request: SipText,
  status: string,
  parts: { tag?: string; headers?: readonly string[]; body?: string; contact?: string } = {},
): void {
  const body = parts.body ?? '';
  const tagged = request.tag('To') !== '' || parts.tag === undefined;
  const lines = [
    `SIP/2.0 ${status}`,
    ...request.headers('Via').map((via) => `Via: ${via}`),
    `From: ${request.header('From')}`,
    `To: ${request.header('To')}${tagged ? '' : `;tag=${parts.tag ?? ''}`}`,
    `Call-ID: ${request.header('Call-ID')}`,
    `CSeq: ${request.header('CSeq')}`,
    `Contact: ${parts.contact ?? peer.contact}`,
    ...(parts.headers ?? []),
  ];
  peer.send(sipText(body === '' ? lines : [...lines, 'Content-Type: application/sdp'], body));
}
