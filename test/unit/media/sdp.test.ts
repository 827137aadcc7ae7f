import * as sdpTransform from 'sdp-transform';
import { describe, expect, it } from 'vitest';
import { EmbeddedMediaEngine } from '../../../src/media/embedded.js';
import {
  negotiateOffer,
  readAnswer,
  SdpError,
  writeOffer,
  writeStream,
  type CodecName,
  type NegotiatedOffer,
  type NegotiatedStream,
} from '../../../src/media/sdp.js';
import { processorMs } from '../../support/processor-time.js';
import { seededRandom } from '../../support/signal.js';
import { offerOf, OFFERS } from './offers.js';

const BOTH = ['PCMU', 'PCMA'] as const;
const LOCAL = { sessionId: 11, version: 1, rtp: { address: '198.51.100.4', port: 20_002 } };

const negotiate = (offer: string, codecs: readonly CodecName[] = BOTH): NegotiatedOffer =>
  negotiateOffer(offer, codecs);
const streamOf = (offer: string, codecs: readonly CodecName[] = BOTH): NegotiatedStream =>
  negotiate(offer, codecs).stream;
const answerTo = (offer: string, codecs: readonly CodecName[] = BOTH): sdpTransform.SessionDescription =>
  sdpTransform.parse(negotiate(offer, codecs).answer(LOCAL));

function refusal(offer: string): string {
  try {
    negotiate(offer);
  } catch (error) {
    expect(error).toBeInstanceOf(SdpError);
    return (error as SdpError).message;
  }
  throw new Error('the offer was taken');
}

describe('an offer from the field', () => {
  const expected = {
    baresip: { codec: 'PCMU', payloadType: 0, event: 97, remote: '192.168.1.20:10216', protocol: 'RTP/AVP' },
    linphone: { codec: 'PCMU', payloadType: 0, event: 100, remote: '192.168.1.21:7078', protocol: 'RTP/AVPF' },
    asterisk: { codec: 'PCMA', payloadType: 8, event: 101, remote: '10.20.0.5:17234', protocol: 'RTP/AVP' },
    freeswitch: { codec: 'PCMU', payloadType: 0, event: 101, remote: '203.0.113.9:27554', protocol: 'RTP/AVP' },
    cisco: { codec: 'PCMU', payloadType: 0, event: 101, remote: '10.10.20.55:24598', protocol: 'RTP/AVP' },
    teams: { codec: 'PCMU', payloadType: 0, event: 101, remote: '52.114.20.31:52844', protocol: 'RTP/AVP' },
    twilio: { codec: 'PCMU', payloadType: 0, event: 101, remote: '168.86.150.20:15342', protocol: 'RTP/AVP' },
  } as const;

  it.each(Object.keys(OFFERS) as (keyof typeof OFFERS)[])('of %s is read and answered', (name) => {
    const { codec, payloadType, event, remote, protocol } = expected[name];
    const negotiated = negotiate(OFFERS[name]);
    const [address, port] = remote.split(':');
    const { accepted, ...stream } = negotiated.stream;
    // The other law of G.711, which all of them have.
    expect(accepted).toMatchObject([{ payloadType: 8 - payloadType, carries: codec === 'PCMU' ? 'PCMA' : 'PCMU' }]);
    expect(stream).toEqual({
      codec,
      payloadType,
      telephoneEventPayloadType: event,
      remote: { address, port: Number(port) },
      ...(name === 'teams' ? { rtcp: 'mux' } : {}),
      sending: true,
      receiving: true,
    });

    const offer = sdpTransform.parse(OFFERS[name]);
    const answer = answerTo(OFFERS[name]);
    expect(answer.media.map(({ type }) => type)).toEqual(offer.media.map(({ type }) => type));
    expect(answer.media[0]).toMatchObject({
      type: 'audio',
      port: 20_002,
      protocol,
      payloads: `${payloadType} ${event}`,
      ptime: 20,
      direction: 'sendrecv',
      rtp: [
        { payload: payloadType, codec, rate: 8_000 },
        { payload: event, codec: 'telephone-event', rate: 8_000 },
      ],
      fmtp: [{ payload: event, config: '0-15' }],
    });
    for (const other of answer.media.slice(1)) expect(other.port).toBe(0);
    expect(answer.connection).toEqual({ version: 4, ip: '198.51.100.4' });
    expect(answer.origin).toMatchObject({ sessionId: 11, sessionVersion: 1, address: '198.51.100.4', ipVer: 4 });
    // We answer what was offered, so reading our own answer finds the same stream, seen from there.
    expect(readAnswer(negotiated.answer(LOCAL), BOTH)).toMatchObject({ codec, remote: LOCAL.rtp });
  });

  it('is answered with the first of its codecs that is ours', () => {
    const all = ['OPUS', 'G722', 'PCMU', 'PCMA'] as const;
    const chosen = (formats: string, codecs: readonly CodecName[] = all): unknown => {
      const { codec, payloadType } = streamOf(
        offerOf(`audio 4000 RTP/AVP ${formats}`, ['a=rtpmap:96 opus/48000/2']),
        codecs,
      );
      return [codec, payloadType];
    };
    expect(chosen('0 9 8 101')).toEqual(['PCMU', 0]);
    expect(chosen('8 0')).toEqual(['PCMA', 8]);
    expect(chosen('9 0 8')).toEqual(['G722', 9]);
    expect(chosen('18 3 8 96 0')).toEqual(['PCMA', 8]);
    expect(chosen('0 8 96')).toEqual(['PCMU', 0]);
    expect(chosen('96 0 8')).toEqual(['OPUS', 96]);
    expect(chosen('0 9 8', ['G722'])).toEqual(['G722', 9]);
    // The first payload type of a codec that stands there twice.
    expect(chosen('13 0 0')).toEqual(['PCMU', 0]);
  });

  it('is answered with the first of ours that it has, where our order decides', () => {
    const ours = (offer: string, codecs: readonly CodecName[]): unknown =>
      negotiateOffer(offer, codecs, { order: 'ours' }).stream.codec;
    expect(ours(OFFERS.twilio, ['PCMA', 'PCMU'])).toBe('PCMA');
    expect(ours(OFFERS.asterisk, ['G722', 'PCMU', 'PCMA'])).toBe('G722');
    expect(ours(OFFERS.cisco, ['G722', 'PCMU', 'PCMA'])).toBe('PCMU');
    expect(ours(offerOf('audio 4000 RTP/AVP 0 9 8'), ['OPUS', 'G722', 'PCMU'])).toBe('G722');
  });
});

describe('payload types', () => {
  it('need no rtpmap when they are static', () => {
    expect(streamOf(offerOf('audio 4000 RTP/AVP 0'))).toMatchObject({ codec: 'PCMU', payloadType: 0 });
    expect(streamOf(offerOf('audio 4000 RTP/AVP 8'))).toMatchObject({ codec: 'PCMA', payloadType: 8 });
    expect(streamOf(offerOf('audio 4000 RTP/AVP 18 8'))).toMatchObject({ codec: 'PCMA', payloadType: 8 });
    expect(streamOf(offerOf('audio 4000 RTP/AVP 0')).telephoneEventPayloadType).toBeUndefined();
  });

  it('may be dynamic, and then say so in the answer', () => {
    const offer = offerOf('audio 4000 RTP/AVP 96 97', ['a=rtpmap:96 pcmu/8000/1', 'a=rtpmap:97 telephone-event/8000']);
    expect(streamOf(offer)).toMatchObject({ codec: 'PCMU', payloadType: 96, telephoneEventPayloadType: 97 });
    expect(answerTo(offer).media[0]).toMatchObject({ payloads: '96 97', rtp: [{ payload: 96, codec: 'PCMU' }, {}] });
  });

  it('mean what the rtpmap says, even swapped', () => {
    const swapped = offerOf('audio 4000 RTP/AVP 0 8', ['a=rtpmap:0 PCMA/8000', 'a=rtpmap:8 PCMU/8000']);
    expect(streamOf(swapped)).toMatchObject({ codec: 'PCMA', payloadType: 0 });
    expect(streamOf(swapped, ['PCMU'])).toMatchObject({ codec: 'PCMU', payloadType: 8 });
    expect(refusal(offerOf('audio 4000 RTP/AVP 0', ['a=rtpmap:0 G729/8000']))).toContain('none of PCMU, PCMA');
  });

  it('count only if the m= line has them', () => {
    const mapped = ['a=rtpmap:0 PCMU/8000', 'a=rtpmap:101 telephone-event/8000'];
    const stream = streamOf(offerOf('audio 4000 RTP/AVP 8', mapped));
    expect(stream).toMatchObject({ codec: 'PCMA', payloadType: 8 });
    expect(stream.telephoneEventPayloadType).toBeUndefined();
  });

  it.each(['audio 4000 RTP/AVP 8 ', 'audio 4000 RTP/AVP  8', 'audio 4000 RTP/AVP 8  101'])(
    'are not made up from blanks: m=%s',
    (media) => expect(streamOf(offerOf(media))).toMatchObject({ codec: 'PCMA', payloadType: 8 }),
  );

  it.each(['', ' ', ' 300', ' -0', ' 0x0', ' 1e1', ' zero'])('are needed: RTP/AVP%s', (formats) =>
    expect(refusal(offerOf(`audio 4000 RTP/AVP${formats}`))).toMatch(/none of|malformed/),
  );

  it('of wideband or stereo variants are not ours', () => {
    for (const rtpmap of ['PCMU/16000', 'PCMU/8000/2', 'PCMU', 'PCMA-WB/16000']) {
      expect(refusal(offerOf('audio 4000 RTP/AVP 96', [`a=rtpmap:96 ${rtpmap}`]))).toBe(
        'm=audio 96: none of PCMU, PCMA',
      );
    }
  });

  it('of telephone-event are taken at 8000 Hz only', () => {
    const events = ['a=rtpmap:100 telephone-event/16000', 'a=rtpmap:101 Telephone-Event/8000'];
    expect(streamOf(offerOf('audio 4000 RTP/AVP 0 100 101', events)).telephoneEventPayloadType).toBe(101);
    expect(streamOf(offerOf('audio 4000 RTP/AVP 0 100', events)).telephoneEventPayloadType).toBeUndefined();
  });
});

describe('hold', () => {
  it.each([
    { direction: 'sendrecv', answered: 'sendrecv', sending: true, receiving: true },
    { direction: 'sendonly', answered: 'recvonly', sending: false, receiving: true },
    { direction: 'recvonly', answered: 'sendonly', sending: true, receiving: false },
    { direction: 'inactive', answered: 'inactive', sending: false, receiving: false },
  ])('by a=$direction', ({ direction, answered, sending, receiving }) => {
    const attribute = `a=${direction}`;
    const ofMedia = offerOf('audio 4000 RTP/AVP 0', [attribute]);
    const ofSession = ofMedia.replace(`${attribute}\r\n`, '').replace('t=0 0\r\n', `t=0 0\r\n${attribute}\r\n`);
    for (const offer of [ofMedia, ofSession]) {
      expect(streamOf(offer)).toMatchObject({ sending, receiving, remote: { address: '192.0.2.7', port: 4_000 } });
      expect(answerTo(offer).media[0]?.direction).toBe(answered);
    }
  });

  it.each(['IN IP4 0.0.0.0', 'IN IP6 ::'])('by c=%s', (connection) => {
    const media = streamOf(offerOf('audio 4000 RTP/AVP 0', [], connection));
    expect(media).toEqual({ codec: 'PCMU', payloadType: 0, sending: false, receiving: false });
  });

  it('by the c= line of the media beside one of the session', () => {
    const media = streamOf(offerOf('audio 4000 RTP/AVP 0', ['c=IN IP4 0.0.0.0']));
    expect(media).toMatchObject({ sending: false, receiving: false });
    expect(media.remote).toBeUndefined();
  });
});

describe('addresses and ports', () => {
  it('may be IPv6, answered with ours', () => {
    expect(streamOf(offerOf('audio 4000 RTP/AVP 0', [], 'IN IP6 2001:db8::7')).remote).toEqual({
      address: '2001:db8::7',
      port: 4_000,
    });
    const local = { ...LOCAL, rtp: { address: '2001:db8::1', port: 20_000 } };
    const answer = sdpTransform.parse(negotiate(OFFERS.twilio).answer(local));
    expect(answer.connection).toEqual({ version: 6, ip: '2001:db8::1' });
    expect(answer.origin).toMatchObject({ ipVer: 6, address: '2001:db8::1' });
  });

  it('may be a name, which is not looked up: the source will show', () => {
    const media = streamOf(offerOf('audio 4000 RTP/AVP 0', [], 'IN IP4 pbx.example.com'));
    expect(media).toEqual({ codec: 'PCMU', payloadType: 0, sending: true, receiving: true });
  });

  it.each(['IN IP4 5', 'IN IP4 1.2.3', 'IN IP4 999.1.1.1'])('are not believed: c=%s', (c) =>
    expect(streamOf(offerOf('audio 4000 RTP/AVP 0', [], c)).remote).toBeUndefined(),
  );

  it('are read without the TTL that a multicast address has behind it', () => {
    const { remote } = streamOf(offerOf('audio 4000 RTP/AVP 0', [], 'IN IP4 224.2.1.1/127'));
    expect(remote).toEqual({ address: '224.2.1.1', port: 4000 });
  });

  it.each(['65536', '99999999999999999999', '00'])('are refused: port %s', (port) =>
    expect(refusal(offerOf(`audio ${port} RTP/AVP 0`))).toMatch(/port/),
  );

  it('are needed', () => {
    expect(refusal(OFFERS.twilio.replace(/c=.*\r\n/, ''))).toBe('no c= line');
    expect(refusal(OFFERS.twilio.replace('m=audio 15342 RTP', 'm=audio 15342/0 RTP'))).toBe('malformed m= line');
    expect(refusal(OFFERS.twilio.replace('m=audio 15342 RTP', 'm=audio -1 RTP'))).toBe('malformed m= line');
  });
});

describe('what the field writes', () => {
  const as = (edit: (sdp: string) => string): NegotiatedStream => streamOf(edit(OFFERS.twilio));
  const plain = streamOf(OFFERS.twilio);

  it.each<[string, (sdp: string) => string]>([
    ['one port', (sdp) => sdp.replace('m=audio 15342 ', 'm=audio 15342/1 ')],
    ['two ports', (sdp) => sdp.replace('m=audio 15342 ', 'm=audio 15342/2 ')],
    ['several blanks and tabs', (sdp) => sdp.replace(/ /g, '  ').replace('m=audio  ', 'm=audio\t ')],
    ['blanks at the end of lines', (sdp) => sdp.replaceAll('\r\n', ' \t\r\n')],
    ['blank lines before, between and behind', (sdp) => `\r\n\n${sdp.replaceAll('\r\n', '\r\n\r\n')}\r\n`],
    ['line feeds alone', (sdp) => sdp.replaceAll('\r\n', '\n')],
    ['carriage returns alone', (sdp) => sdp.replaceAll('\r\n', '\r')],
    ['no line end behind the last line', (sdp) => sdp.trimEnd()],
    [
      '250 candidates',
      (sdp) => sdp + 'a=candidate:1087035856 1 udp 2122063615 192.0.2.1 54000 typ host\r\n'.repeat(300),
    ],
    ['a line of 4 KB that is not needed', (sdp) => `${sdp}a=x-vendor:${'y'.repeat(4_096)}\r\n`],
    ['a prefix length', (sdp) => sdp.replace(/(c=IN IP4 [\d.]+)/, '$1/24')],
  ])('is understood: %s', (_, edit) => expect(as(edit)).toEqual(plain));

  it.each(['4000/0', '4000/', '4000/x', '4000/2/2', '/2', '4000/123456'])('is refused: port %s', (port) =>
    expect(refusal(offerOf(`audio ${port} RTP/AVP 0`))).toMatch(/malformed|port/),
  );

  it('is answered with one port and in clean lines', () => {
    const answer = negotiate(offerOf('audio  4000/2  RTP/AVP  0 8 ')).answer(LOCAL);
    expect(answer).toMatch(/^m=audio 20002 RTP\/AVP 0\r$/m);
  });
});

describe('the IP version', () => {
  const offer = (c: string, more = ''): string => offerOf('audio 4000 RTP/AVP 0', [], c) + more;
  const family4 = (sdp: string): NegotiatedStream => negotiateOffer(sdp, BOTH, { family: 4 }).stream;

  it('of the offer has to be ours', () => {
    expect(() => family4(offer('IN IP6 2001:db8::7'))).toThrow(/IP6, and our RTP is IP4/);
    expect(() => family4(offer('IN IP6 phone.example.com'))).toThrow(/IP6/);
    expect(() => family4(offer('IN IP4 2001:db8::7'))).toThrow(/IP6/);
    expect(() => negotiateOffer(offer('IN IP4 192.0.2.7'), BOTH, { family: 6 })).toThrow(/IP4, and our RTP is IP6/);
    expect(family4(offer('IN IP4 192.0.2.7')).remote).toEqual({ address: '192.0.2.7', port: 4_000 });
    // What it is counts, not what it is called.
    expect(family4(offer('IN IP6 192.0.2.7')).remote).toEqual({ address: '192.0.2.7', port: 4_000 });
    expect(family4(offer('IN IP4 phone.example.com')).remote).toBeUndefined();
  });

  it('does not matter on hold', () =>
    expect(family4(offer('IN IP6 ::'))).toMatchObject({ sending: false, receiving: false }));

  it('of a second line may be', () => {
    const both = offer('IN IP6 2001:db8::7', 'm=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\r\n');
    expect(family4(both).remote).toEqual({ address: '192.0.2.7', port: 4_002 });
  });

  it('of the answer to our offer has to be ours as well', () =>
    expect(() => readAnswer(offer('IN IP6 2001:db8::7'), BOTH, 4)).toThrow(SdpError));

  it.each([
    ['0.0.0.0', 'IP4'],
    ['192.0.2.1', 'IP4'],
    ['2001:db8::1', 'IP6'],
  ])('is that of media.bind: %s', (bind, family) => {
    const engine = new EmbeddedMediaEngine({ codecs: ['PCMU'], bind });
    const c = { IP4: 'IN IP4 192.0.2.7', IP6: 'IN IP6 2001:db8::7' };
    for (const theirs of ['IP4', 'IP6'] as const) {
      const accept = (): unknown => engine.accept(offer(c[theirs]));
      if (theirs === family) accept();
      else expect(accept).toThrow(SdpError);
    }
  });
});

describe('what else may come', () => {
  it('is every codec of the offer that we speak, and every payload type of events', () => {
    const offer = offerOf('audio 4000 RTP/AVP 18 8 0 98 9 96 97', [
      'a=rtpmap:98 PCMU/8000',
      'a=rtpmap:96 telephone-event/8000',
      'a=rtpmap:97 telephone-event/8000',
    ]);
    expect(streamOf(offer)).toMatchObject({
      payloadType: 8,
      telephoneEventPayloadType: 96,
      accepted: [
        { payloadType: 0, carries: 'PCMU' },
        { payloadType: 98, carries: 'PCMU' },
        { payloadType: 97, carries: 'telephone-event' },
      ],
    });
    // The answer still names the one that is spoken.
    expect(negotiate(offer).answer(LOCAL)).toContain('RTP/AVP 8 96\r\n');
  });

  it('is what we offered, and what the answer calls it', () => {
    const answer = offerOf('audio 4000 RTP/AVP 8 0 96', ['a=rtpmap:96 telephone-event/8000']);
    expect(readAnswer(answer, ['G722', 'PCMU', 'PCMA'])).toMatchObject({
      codec: 'PCMA',
      payloadType: 8,
      telephoneEventPayloadType: 96,
      accepted: [
        { payloadType: 0, carries: 'PCMU' },
        { payloadType: 9, carries: 'G722' },
        { payloadType: 101, carries: 'telephone-event' },
      ],
    });
  });
});

describe('several media lines', () => {
  const offer = [
    'v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n',
    'm=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n',
    'm=audio 5002 RTP/SAVP 0\r\n',
    'm=audio 0 RTP/AVP 0\r\n',
    'm=audio 5004 RTP/AVP 8\r\na=inactive\r\n',
    'm=audio 5006 RTP/AVP 0\r\n',
    'm=application 5008 TCP/BFCP *\r\n',
    'm=image 5010 udptl t38\r\n',
  ].join('');

  it('are answered one by one, in order, all but the first usable one refused', () => {
    const { media } = answerTo(offer);
    expect(media.map(({ type, port, protocol }) => [type, port, protocol])).toEqual([
      ['video', 0, 'RTP/AVP'],
      ['audio', 0, 'RTP/SAVP'],
      ['audio', 0, 'RTP/AVP'],
      ['audio', 20_002, 'RTP/AVP'],
      ['audio', 0, 'RTP/AVP'],
      ['application', 0, 'TCP/BFCP'],
      ['image', 0, 'udptl'],
    ]);
    expect(media[3]).toMatchObject({ direction: 'inactive', rtp: [{ payload: 8, codec: 'PCMA' }] });
    expect(media[6]?.payloads).toBe('t38');
    expect(streamOf(offer).remote?.port).toBe(5_004);
  });

  it('are not so many that the answer is larger than the offer', () => {
    const many = offerOf(
      'audio 4000 RTP/AVP 0',
      Array.from({ length: 1_000 }, () => 'm=x 1 a 1'),
    );
    const answer = negotiate(many).answer(LOCAL);
    expect(sdpTransform.parse(answer).media).toHaveLength(1_001);
    expect(answer.length).toBeLessThan(many.length + 500);
  });
});

describe('what cannot be used', () => {
  it('is refused with a text that says why', () => {
    expect(refusal(OFFERS.twilio.replace('RTP/AVP', 'RTP/SAVP'))).toBe('m=audio: RTP/SAVP is not supported');
    expect(refusal(OFFERS.twilio.replace('RTP/AVP', 'UDP/TLS/RTP/SAVPF'))).toContain('UDP/TLS/RTP/SAVPF');
    expect(refusal(offerOf('audio 4000 RTP/AVP 96', ['a=rtpmap:96 opus/48000/2']))).toBe(
      'm=audio 96: none of PCMU, PCMA',
    );
    expect(refusal(offerOf('video 4000 RTP/AVP 96'))).toBe('m=video: not audio');
    expect(refusal('v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n')).toBe('no media line');
    expect(refusal('')).toContain('v=0');
    expect(refusal('<?xml version="1.0"?>')).toContain('v=0');
  });

  it('is refused unread when it is too long', () => {
    expect(refusal(OFFERS.twilio + 'a=x\r\n'.repeat(16_000))).toContain('65536');
    expect(refusal(`${OFFERS.twilio}m=video 1 RTP/AVP ${'9 '.repeat(512)}\r\n`)).toContain('line too long');
  });

  it('is told in little time, whatever it is', () => {
    const fillers = ['a=rtpmap:1', 'a=fmtp:1 ', 'a=candidate:1 ', 'a=ssrc:1 ', 'a=extmap:1', 'a=imageattr:1 ', 'a=x '];
    const tookMs = processorMs(() => {
      for (const filler of fillers) {
        for (const stuffing of [' ', 'a', '1', '/', ':', '1 ', 'a=', '[x=1] ']) {
          const line = `${filler}${stuffing.repeat(1_000)}`.slice(0, 1_020);
          negotiate((OFFERS.twilio + `${line}\r\n`.repeat(60)).slice(0, 65_536));
        }
      }
    });
    expect(tookMs / (fillers.length * 8)).toBeLessThan(50);
  });

  it('never throws anything but an SdpError: 20,000 mutations', () => {
    const random = seededRandom(4);
    const originals = Object.values(OFFERS);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const scraps = ['\r\n', '\n', '\r', ' ', '0', '99999', '-1', '/', ':', '=', '*', '\0', 'm=audio 1 RTP/AVP 0\r\n'];
    const more = ['a=rtpmap:0 5/8000\r\n', 'c=IN IP4 1\r\n', 'a=rtpmap:8 /8000\r\n', '__proto__', 'é\u2028', '1e9', ''];
    let taken = 0;
    for (let i = 0; i < 20_000; i++) {
      let offer: string = pick(originals);
      for (let edits = 1 + Math.floor(random() * 8); edits > 0; edits--) {
        const at = Math.floor(random() * offer.length);
        const end = at + Math.floor(random() ** 3 * 40);
        offer = offer.slice(0, at) + pick([...scraps, ...more, offer.slice(end, end + 30)]) + offer.slice(end);
      }
      try {
        const codecs: readonly CodecName[] = i % 2 === 0 ? BOTH : ['OPUS', 'G722', 'PCMA'];
        const negotiated = negotiate(offer, codecs);
        taken += 1;
        expectSound(negotiated.stream, offer, negotiated.answer(LOCAL));
        expectPassedOn(negotiated, codecs);
      } catch (error) {
        if (!(error instanceof SdpError))
          throw new Error(`not an SdpError for ${JSON.stringify(offer)}`, { cause: error });
      }
    }
    expect(taken).toBeGreaterThan(2_000);
    expect(taken).toBeLessThan(19_000);
  });

  /** An answer to whatever was taken is well-formed, and its figures are in range. */
  function expectSound(stream: NegotiatedStream, offer: string, answer: string): void {
    for (const payloadType of [stream.payloadType, stream.telephoneEventPayloadType ?? 0]) {
      if (!Number.isInteger(payloadType) || payloadType < 0 || payloadType > 127) throw new Error(`bad type: ${offer}`);
    }
    const { port = 1 } = stream.remote ?? {};
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`bad port: ${offer}`);
    const lines = answer.split('\r\n');
    if (lines.pop() !== '' || !lines.every((line) => /^[vosctma]=[^\r\n]*$/.test(line))) throw new Error(answer);
    const offered = sdpTransform.parse(offer).media.length;
    if (lines.filter((line) => line.startsWith('m=')).length !== offered) throw new Error(`m= lines: ${answer}`);
  }
});

/** A media server that is shown only the stream finds the same in it. */
function expectPassedOn(negotiated: NegotiatedOffer, codecs: readonly CodecName[]): void {
  const { stream } = negotiated;
  const onlyStream = negotiated.onlyStream();
  const shown = streamOf(onlyStream, codecs);
  const { codec, payloadType, telephoneEventPayloadType } = stream;
  if (shown.codec !== codec || shown.payloadType !== payloadType) throw new Error(`codec: ${onlyStream}`);
  if (shown.telephoneEventPayloadType !== telephoneEventPayloadType) throw new Error(`events: ${onlyStream}`);
  if (stream.remote && shown.remote?.port !== stream.remote.port) throw new Error(`port: ${onlyStream}`);
}

describe('wideband codecs', () => {
  const WIDE = ['OPUS', 'G722', 'PCMU', 'PCMA'] as const;

  it('are taken from offers of the field that have them first', () => {
    const codecs = Object.entries(OFFERS).map(([name, offer]) => [name, streamOf(offer, WIDE).codec]);
    expect(Object.fromEntries(codecs)).toEqual({
      baresip: 'OPUS',
      linphone: 'OPUS',
      asterisk: 'PCMA',
      freeswitch: 'OPUS',
      cisco: 'PCMU',
      teams: 'G722',
      twilio: 'PCMU',
    });
  });

  it('G.722 is payload type 9 without an rtpmap, and has a clock of 8000 Hz in spite of its 16', () => {
    const bare = offerOf('audio 4000 RTP/AVP 9');
    expect(streamOf(bare, ['G722'])).toMatchObject({ codec: 'G722', payloadType: 9 });
    expect(answerTo(bare, ['G722']).media[0]).toMatchObject({
      payloads: 9,
      rtp: [{ payload: 9, codec: 'G722', rate: 8_000 }],
    });
    expect(streamOf(offerOf('audio 4000 RTP/AVP 97', ['a=rtpmap:97 g722/8000']), ['G722']).payloadType).toBe(97);
    for (const wrong of ['G722/8000/2', 'G722/48000', 'G729/8000']) {
      expect(() => negotiate(offerOf('audio 4000 RTP/AVP 9', [`a=rtpmap:9 ${wrong}`]), ['G722'])).toThrow(SdpError);
    }
  });

  it('G.722 is known by the mistake of giving its 16 kHz, and answered without it', () => {
    const mistaken = offerOf('audio 4000 RTP/AVP 9 97', ['a=rtpmap:9 G722/16000', 'a=rtpmap:97 G722/8000']);
    expect(streamOf(mistaken, ['G722'])).toMatchObject({ codec: 'G722', payloadType: 9 });
    expect(answerTo(mistaken, ['G722']).media[0]?.rtp).toEqual([{ payload: 9, codec: 'G722', rate: 8_000 }]);
  });

  it('Opus is opus/48000/2 of any dynamic payload type, and of none without an rtpmap', () => {
    const offer = offerOf('audio 4000 RTP/AVP 111', ['a=rtpmap:111 OPUS/48000/2', 'a=fmtp:111 useinbandfec=1']);
    expect(streamOf(offer, ['OPUS'])).toMatchObject({ codec: 'OPUS', payloadType: 111 });
    expect(answerTo(offer, ['OPUS']).media[0]).toMatchObject({
      payloads: 111,
      rtp: [{ payload: 111, codec: 'opus', rate: 48_000, encoding: 2 }],
    });
    for (const wrong of ['a=rtpmap:111 opus/48000', 'a=rtpmap:111 opus/48000/1', 'a=rtpmap:111 opus/16000/2', 'a=x']) {
      expect(() => negotiate(offerOf('audio 4000 RTP/AVP 111', [wrong]), ['OPUS'])).toThrow(SdpError);
    }
  });

  it('L16 is 16 kHz and mono, not the 44.1 kHz of the static payload types', () => {
    const offer = offerOf('audio 4000 RTP/AVP 11 10 98', ['a=rtpmap:98 L16/16000']);
    expect(streamOf(offer, ['L16'])).toMatchObject({ codec: 'L16', payloadType: 98 });
    expect(() => negotiate(offerOf('audio 4000 RTP/AVP 11 10'), ['L16'])).toThrow(SdpError);
    for (const wrong of ['L16/8000', 'L16/44100', 'L16/16000/2']) {
      expect(() => negotiate(offerOf('audio 4000 RTP/AVP 98', [`a=rtpmap:98 ${wrong}`]), ['L16'])).toThrow(SdpError);
    }
  });

  it('are not spoken unless they are asked for', () =>
    expect(refusal(offerOf('audio 4000 RTP/AVP 9 111', ['a=rtpmap:111 opus/48000/2']))).toBe(
      'm=audio 9 111: none of PCMU, PCMA',
    ));

  it('are offered by their static payload types, and by a dynamic one that has none', () => {
    const offer = sdpTransform.parse(writeOffer(LOCAL, ['G722', 'PCMU', 'L16']));
    expect(offer.media[0]?.payloads).toBe('9 0 96 101');
    expect(offer.media[0]?.rtp[0]).toMatchObject({ payload: 9, codec: 'G722', rate: 8_000 });
    expect(offer.media[0]?.rtp[2]).toMatchObject({ payload: 96, codec: 'L16', rate: 16_000 });
  });
});

describe('what a media server is shown in place of the peer', () => {
  const shown = (offer: string, codecs: readonly CodecName[] = BOTH): sdpTransform.SessionDescription =>
    sdpTransform.parse(negotiate(offer, codecs).onlyStream());

  it.each(Object.keys(OFFERS) as (keyof typeof OFFERS)[])('of %s is the agreed stream alone', (name) => {
    for (const codecs of [BOTH, ['OPUS', 'G722', 'PCMA'] as const]) {
      const stream = streamOf(OFFERS[name], codecs);
      const { media, connection } = shown(OFFERS[name], codecs);
      expect(media).toHaveLength(1);
      const events = stream.telephoneEventPayloadType;
      expect(media[0]).toMatchObject({ port: stream.remote?.port, payloads: `${stream.payloadType} ${events ?? ''}` });
      expect(connection?.ip).toBe(stream.remote?.address);
      // Nothing got lost on the way: who reads it agrees to the same, but for the shared port, which takes three to agree on.
      const { rtcp } = stream;
      const agreed = Object.fromEntries(Object.entries(stream).filter(([key]) => key !== 'rtcp' && key !== 'accepted'));
      expect(streamOf(negotiate(OFFERS[name], codecs).onlyStream(), codecs)).toEqual(agreed);
      expect(rtcp).toBe(name === 'teams' ? 'mux' : undefined);
    }
  });

  it.each(['sendrecv', 'sendonly', 'recvonly', 'inactive'])("keeps the peer's own a=%s", (direction) =>
    expect(shown(offerOf('audio 4000 RTP/AVP 0', [`a=${direction}`])).media[0]?.direction).toBe(direction),
  );

  it('keeps payload types that are not the usual ones, and is without telephone-event if the peer is', () => {
    const offer = offerOf('audio 4000 RTP/AVP 96 97', ['a=rtpmap:96 PCMA/8000', 'a=rtpmap:97 telephone-event/8000']);
    expect(shown(offer).media[0]).toMatchObject({ payloads: '96 97', rtp: [{ codec: 'PCMA' }, { payload: 97 }] });
    expect(shown(offerOf('audio 4000 RTP/AVP 0')).media[0]?.payloads).toBe(0);
  });

  it('keeps the address of the media, not that of the session', () => {
    expect(shown(OFFERS.teams).connection?.ip).toBe('52.114.20.31');
    const v6 = shown(offerOf('audio 4000 RTP/AVP 0', [], 'IN IP6 2001:db8::7'));
    expect([v6.connection, v6.origin.ipVer]).toEqual([{ version: 6, ip: '2001:db8::7' }, 6]);
  });

  it('keeps the hold by an address of zeros, and does not pass a host name on', () => {
    expect(shown(offerOf('audio 4000 RTP/AVP 0', [], 'IN IP4 0.0.0.0')).connection?.ip).toBe('0.0.0.0');
    expect(shown(offerOf('audio 4000 RTP/AVP 0', [], 'IN IP4 evil.example.com')).connection?.ip).toBe('0.0.0.0');
  });

  it('has one media line, whichever of several was agreed on', () => {
    const video = 'm=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n';
    const offer = OFFERS.twilio.replace('m=audio', `${video}m=audio`);
    expect(shown(offer).media.map(({ type, port }) => [type, port])).toEqual([['audio', 15_342]]);
  });
});

describe("the bridge's own RTP, as a media server is told of it", () =>
  it.each([
    { encoding: 'PCMU', payloads: '0 101', rtpmap: { payload: 0, codec: 'PCMU', rate: 8_000 } },
    { encoding: 'PCMA', payloads: '8 101', rtpmap: { payload: 8, codec: 'PCMA', rate: 8_000 } },
    { encoding: 'L16', payloads: '96 101', rtpmap: { payload: 96, codec: 'L16', rate: 16_000 } },
  ] as const)('in $encoding', ({ encoding, payloads, rtpmap }) => {
    const { media, connection, origin } = sdpTransform.parse(writeStream(LOCAL, encoding));
    expect(media).toHaveLength(1);
    expect(media[0]).toMatchObject({
      type: 'audio',
      port: 20_002,
      protocol: 'RTP/AVP',
      payloads,
      ptime: 20,
      direction: 'sendrecv',
    });
    expect(media[0]?.rtp[0]).toEqual(rtpmap);
    expect(media[0]?.rtp[1]).toMatchObject({ payload: 101, codec: 'telephone-event', rate: 8_000 });
    expect([connection?.ip, origin.sessionId]).toEqual(['198.51.100.4', 11]);
    expect(readAnswer(writeStream(LOCAL, encoding), [encoding])).toEqual({
      codec: encoding,
      payloadType: rtpmap.payload,
      telephoneEventPayloadType: 101,
      remote: LOCAL.rtp,
      sending: true,
      receiving: true,
    });
  }));

describe('RTCP', () => {
  const rtcpOf = (...lines: string[]): unknown => streamOf(offerOf('audio 4000 RTP/AVP 0', lines)).rtcp;

  it.each([
    ['the port after the RTP, when nothing is said', [], undefined],
    ['the port after the RTP, when it is said', ['a=rtcp:4001'], undefined],
    ['another port', ['a=rtcp:5000'], { port: 5000 }],
    ['another address', ['a=rtcp:5000 IN IP4 192.0.2.77'], { address: '192.0.2.77', port: 5000 }],
    ["the RTP's own", ['a=rtcp:4001', 'a=rtcp-mux'], 'mux'],
    ['no port at all', ['a=rtcp:0'], undefined],
    ['no such port', ['a=rtcp:70000'], undefined],
    ['a name', ['a=rtcp:5000 IN IP4 pbx.example.com'], undefined],
  ])('is expected at %s', (_, lines, expected) => {
    if (typeof expected === 'object') expect(rtcpOf(...lines)).toMatchObject(expected);
    else expect(rtcpOf(...lines)).toBe(expected);
  });

  it('shares the port when both say so, and only then', () => {
    const muxing = { ...LOCAL, rtcpMux: true };
    const offer = offerOf('audio 4000 RTP/AVP 0', ['a=rtcp-mux']);
    expect(negotiate(offer).answer(muxing)).toContain('a=rtcp-mux');
    expect(negotiate(offer).answer(LOCAL)).not.toContain('rtcp');
    expect(negotiate(offerOf('audio 4000 RTP/AVP 0')).answer(muxing)).not.toContain('rtcp');
    expect(writeOffer(muxing, BOTH)).toContain('a=rtcp-mux');
    expect(writeOffer(LOCAL, BOTH)).not.toContain('rtcp');
  });

  it('is passed on to a media server that takes the place of ours', () => {
    const offer = offerOf('audio 4000 RTP/AVP 0', ['a=rtcp:5000 IN IP4 192.0.2.77']);
    expect(streamOf(negotiate(offer).onlyStream()).rtcp).toEqual({ address: '192.0.2.77', port: 5000 });
  });
});

describe('our own offer', () => {
  it('has all our codecs in our order, and digits', () => {
    const offer = sdpTransform.parse(writeOffer(LOCAL, ['PCMA', 'PCMU']));
    expect(offer.media).toHaveLength(1);
    expect(offer.media[0]).toMatchObject({
      type: 'audio',
      port: 20_002,
      protocol: 'RTP/AVP',
      payloads: '8 0 101',
      direction: 'sendrecv',
      ptime: 20,
    });
    expect(offer.media[0]?.rtp.map(({ codec }) => codec)).toEqual(['PCMA', 'PCMU', 'telephone-event']);
    expect(streamOf(writeOffer(LOCAL, BOTH)).remote).toEqual(LOCAL.rtp);
  });

  it('is answered by an SDP read with the same care', () => {
    expect(readAnswer(OFFERS.twilio, BOTH)).toMatchObject({ codec: 'PCMU', payloadType: 0 });
    // Its own order, though the offer was in another.
    expect(readAnswer(OFFERS.asterisk, ['G722', 'PCMU', 'PCMA'])).toMatchObject({ codec: 'PCMA', payloadType: 8 });
    expect(() => readAnswer(offerOf('audio 0 RTP/AVP 0'), BOTH)).toThrow(SdpError);
    expect(() => readAnswer('', BOTH)).toThrow(SdpError);
  });
});

describe('EmbeddedMediaEngine', () => {
  const engine = new EmbeddedMediaEngine({ codecs: BOTH, bind: '0.0.0.0' });
  const originOf = (sdp: string): unknown => {
    const { sessionId, sessionVersion } = sdpTransform.parse(sdp).origin;
    return [sessionId, sessionVersion];
  };

  it.each([
    ['10.1.2.3', '198.51.100.1', true],
    ['10.1.2.3', '10.1.2.4', true],
    ['10.1.2.3', '10.1.2.3', undefined],
    ['10.1.2.3', '', undefined],
    ['8.8.8.8', '9.9.9.9', undefined],
    ['phone.example.com', '198.51.100.1', undefined],
  ])('doubts that a caller is at %s when its SIP comes from %s: %s', async (address, peer, doubtful) => {
    const offer = offerOf('audio 4000 RTP/AVP 0', [], `IN IP4 ${address}`);
    const leg = await engine.accept(offer, peer).connect(4, '10.0.0.9', peer);
    expect(leg.media?.remoteIsDoubtful).toBe(doubtful);
  });

  it('says where it is: what is advertised, else what is bound, else what the caller reached', async () => {
    const addressOf = async (bind: string, advertise?: string, peer = '192.0.2.9'): Promise<string> => {
      const advertisedTo = (address: string): string | undefined => (address === '192.0.2.9' ? advertise : undefined);
      const leg = await new EmbeddedMediaEngine({ codecs: BOTH, bind, advertise: advertisedTo })
        .accept(OFFERS.cisco)
        .connect(4, '10.0.0.9', peer);
      const { connection, origin } = sdpTransform.parse(leg.localSdp);
      expect(origin.address).toBe(connection?.ip);
      return origin.address;
    };
    expect(await addressOf('0.0.0.0')).toBe('10.0.0.9');
    expect(await addressOf('10.1.1.1')).toBe('10.1.1.1');
    expect(await addressOf('10.1.1.1', '203.0.113.5')).toBe('203.0.113.5');
    expect(await addressOf('10.1.1.1', '203.0.113.5', '192.0.2.10')).toBe('10.1.1.1');
  });

  it('keeps its session and counts its version up with every new description', async () => {
    const leg = await engine.accept(OFFERS.twilio).connect(20_000, '10.0.0.9');
    const [id] = originOf(leg.localSdp) as [number];
    expect(originOf(leg.localSdp)).toEqual([id, 1]);
    expect(originOf(await leg.renegotiate(OFFERS.asterisk))).toEqual([id, 2]);
    expect(leg.media?.remote).toEqual({ address: '10.20.0.5', port: 17_234 });
    expect(originOf(leg.reoffer())).toEqual([id, 3]);
    await leg.acceptAnswer(offerOf('audio 4000 RTP/AVP 8'));
    expect(leg.codec).toBe('PCMA');
  });

  it('stays as it was when a new offer cannot be used', async () => {
    const leg = await engine.accept(OFFERS.twilio).connect(20_000, '10.0.0.9');
    const { localSdp, media, codec } = leg;
    await expect(leg.renegotiate(OFFERS.twilio.replace('RTP/AVP', 'RTP/SAVP'))).rejects.toThrow(SdpError);
    expect([leg.localSdp, leg.media, leg.codec]).toEqual([localSdp, media, codec]);
    expect(originOf(await leg.renegotiate(OFFERS.twilio))).toEqual([(originOf(localSdp) as [number])[0], 2]);
  });

  it('makes the offer when the INVITE has none', async () => {
    const leg = await engine.accept(undefined).connect(20_000, '10.0.0.9');
    expect([leg.codec, leg.media]).toEqual([undefined, undefined]);
    expect(sdpTransform.parse(leg.localSdp).media[0]?.payloads).toBe('0 8 101');
    await expect(leg.acceptAnswer(offerOf('video 4000 RTP/AVP 96'))).rejects.toThrow(SdpError);
    await leg.acceptAnswer(OFFERS.twilio);
    expect(leg.media).toMatchObject({ encoding: 'PCMU', remote: { port: 15_342 } });
    await leg.close();
    await leg.close();
  });

  it.each([
    ['offer', ['PCMA', 'PCMU', 'PCMA', 'G722']],
    ['ours', ['G722', 'PCMU', 'G722', 'G722']],
  ] as const)(
    'speaks to each caller what the order of %s has first, and what a re-INVITE has',
    async (codecOrder, codecs) => {
      const wide = new EmbeddedMediaEngine({ codecs: ['G722', 'PCMU', 'PCMA'], codecOrder, bind: '0.0.0.0' });
      const offers = [OFFERS.asterisk, OFFERS.cisco, offerOf('audio 4000 RTP/AVP 8 9'), OFFERS.teams];
      const legs = await Promise.all(offers.map((offer) => wide.accept(offer).connect(20_000, '10.0.0.9')));
      expect(legs.map(({ codec, media }) => [codec, media?.encoding])).toEqual(codecs.map((codec) => [codec, codec]));
      const [leg] = legs;
      await leg?.renegotiate(offerOf('audio 4000 RTP/AVP 0 9 8'));
      expect(leg?.codec).toBe(codecOrder === 'offer' ? 'PCMU' : 'G722');
    },
  );

  it('offers all its codecs in its own order to a caller that offers none', async () => {
    const wide = new EmbeddedMediaEngine({ codecs: ['G722', 'PCMU', 'PCMA'], bind: '0.0.0.0' });
    const leg = await wide.accept(undefined).connect(20_000, '10.0.0.9');
    expect(sdpTransform.parse(leg.localSdp).media[0]?.payloads).toBe('9 0 8 101');
  });

  it('refuses what it cannot speak before anything is spent on the call', () =>
    expect(() => engine.accept(offerOf('audio 4000 RTP/AVP 18'))).toThrow(SdpError));
});

describe('maxptime (RFC 8866 section 6.4)', () => {
  const offer = (...attributes: string[]): string => offerOf('audio 4000 RTP/AVP 0', attributes);

  it.each(['a=maxptime:20', 'a=maxptime:60', 'a=maxptime:0', 'a=maxptime:', 'a=maxptime:x', 'a=ptime:10'])(
    '%s lets 20 ms packets be sent',
    (attribute) => expect(() => negotiate(offer(attribute), BOTH)).not.toThrow(),
  );

  it.each(['a=maxptime:10', 'a=maxptime:5', 'a=maxptime:19.9'])('%s does not', (attribute) =>
    expect(() => negotiate(offer(attribute), BOTH)).toThrow(/maxptime:.*packets of 20 ms are sent/),
  );
});
