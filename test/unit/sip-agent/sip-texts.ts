const SDP = [
  'v=0',
  'o=- 20518 0 IN IP4 198.51.100.1',
  's=-',
  'c=IN IP4 198.51.100.1',
  't=0 0',
  'm=audio 4000 RTP/AVP 0 8 101',
  'a=rtpmap:101 telephone-event/8000',
  'a=ptime:20',
  '',
].join('\r\n');

/** The lines of an ordinary INVITE's head, without the empty line: a test changes the one it is about. */
export const INVITE_LINES: readonly string[] = [
  'INVITE sip:+15551234567@192.0.2.2:5060;user=phone SIP/2.0',
  'Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK4f3a2b1c',
  'Via: SIP/2.0/TCP proxy.example.com;branch=z9hG4bK77ef;received=198.51.100.9',
  'Max-Forwards: 70',
  'Record-Route: <sip:192.0.2.1;lr;ftag=abc>, <sip:198.51.100.9:5080;transport=tcp;lr>',
  'From: "Alice Example" <sip:+15557654321@192.0.2.1>;tag=1928301774',
  'To: <sip:+15551234567@192.0.2.2>',
  'Call-ID: a84b4c76e66710@pbx.example.com',
  'CSeq: 314159 INVITE',
  'Contact: <sip:+15557654321@192.0.2.1:5060;transport=udp>',
  'Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE',
  'Content-Type: application/sdp',
];

/** A message of these lines, with its Content-Length. */
export function sipText(lines: readonly string[], body = ''): Buffer {
  const length = Buffer.byteLength(body);
  return Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\n${body}`);
}

/** The ordinary INVITE with its SDP. */
export function inviteText(): Buffer {
  return sipText(INVITE_LINES, SDP);
}

/** The ordinary INVITE, the header fields of that name replaced by `lines`. */
export function inviteWith(name: string, ...lines: string[]): Buffer {
  const others = INVITE_LINES.filter((line) => !line.startsWith(`${name}:`));
  return sipText([...others, ...lines]);
}

export function okText(): Buffer {
  return sipText([
    'SIP/2.0 200 OK',
    ...INVITE_LINES.filter((line) => /^(Via|From|Call-ID|CSeq):/.test(line)),
    'To: <sip:+15551234567@192.0.2.2>;tag=8321234356',
    'Contact: <sip:192.0.2.2:5060>',
  ]);
}
