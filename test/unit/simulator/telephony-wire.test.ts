import { describe, expect, it } from 'vitest';
import { levelDbfs, pcmBytes, pcmSamples, tone } from '../../../src/simulator/speech.js';
import { TelephonyWire } from '../../../src/simulator/telephony-wire.js';

const PAYLOAD = Buffer.alloc(160, 7);
const START = { event: 'start', start: { streamSid: 'MZ1', callSid: 'CA1' } };
const MEDIA = { event: 'media', media: { payload: PAYLOAD.toString('base64') } };
const STOP = { event: 'stop' };

/** What a wire made of some messages: kinds of messages, and kinds of complaints. */
function read(...messages: (object | string | Buffer)[]): {
  kinds: string[];
  complaints: string[];
  wire: TelephonyWire;
} {
  const complaints: string[] = [];
  const wire = new TelephonyWire(({ kind }) => complaints.push(kind));
  const kinds = messages.map((message) => {
    const isBinary = Buffer.isBuffer(message);
    const text = typeof message === 'string' || isBinary ? message : JSON.stringify(message);
    return wire.read(Buffer.from(text), isBinary, 0).kind;
  });
  return { kinds, complaints, wire };
}

describe('the client’s messages', () => {
  it('are fine as the guide has them, and as Twilio does', () => {
    expect(read(START, MEDIA, MEDIA, STOP)).toMatchObject({
      kinds: ['start', 'audio', 'audio', 'stop'],
      complaints: [],
    });
    const numbered = [
      { ...START, sequenceNumber: '1', streamSid: 'MZ1' },
      { ...MEDIA, sequenceNumber: '2', streamSid: 'MZ1', media: { ...MEDIA.media, chunk: '1' } },
      { event: 'mark', sequenceNumber: '3', streamSid: 'MZ1', mark: { name: 'm' } },
      { ...STOP, sequenceNumber: '4', streamSid: 'MZ1' },
    ];
    expect(read(...numbered)).toMatchObject({ kinds: ['start', 'audio', 'mark', 'stop'], complaints: [] });
  });

  it.each([
    ['binary', [START, PAYLOAD], ['binary-frame']],
    ['not JSON', [START, 'hello'], ['json']],
    ['not an object', [START, '[]'], ['json']],
    ['of an unknown event', [START, { event: 'connected' }], ['unknown-event']],
    ['of no event', [START, {}], ['unknown-event']],
    ['a start without ids', [{ event: 'start' }], ['start-fields', 'start-fields']],
    ['a start without a callSid', [{ event: 'start', start: { streamSid: 'x' } }], ['start-fields']],
    ['a second start', [START, START], ['start-twice']],
    ['another stream’s', [START, { ...MEDIA, streamSid: 'MZ2' }], ['stream-sid']],
    ['out of sequence', [START, { ...MEDIA, sequenceNumber: '3' }], ['sequence']],
    ['a number that is no text', [START, { ...MEDIA, sequenceNumber: 2 }], ['sequence']],
    ['a chunk out of sequence', [START, { ...MEDIA, media: { ...MEDIA.media, chunk: '2' } }], ['sequence']],
    ['media without a payload', [START, { event: 'media' }], ['base64']],
    ['an empty payload', [START, { event: 'media', media: { payload: '' } }], ['base64']],
    ['base64url', [START, { event: 'media', media: { payload: '-_-_' } }], ['base64']],
    ['base64 cut off', [START, { event: 'media', media: { payload: 'AAA' } }], ['base64']],
    ['a mark without a name', [START, { event: 'mark' }], ['mark-unknown']],
    ['after the stop', [START, STOP, MEDIA], ['after-stop']],
  ])('%s', (_what, messages, complaints) => expect(read(...messages).complaints).toEqual(complaints));

  it.each([
    [{ encoding: 'audio/x-alaw', sampleRate: 8000, channels: 1 }, 'alaw', []],
    [{ encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 }, 'mulaw', []],
    [{ encoding: 'audio/l16', sampleRate: 16000, channels: 1 }, 'mulaw', ['start-fields']],
    [{ sampleRate: 16000 }, 'mulaw', ['start-fields']],
  ])('mediaFormat %j is %s', (mediaFormat, encoding, complaints) => {
    const { wire, complaints: made } = read({ event: 'start', start: { ...START.start, mediaFormat } });
    expect([wire.start?.encoding, made]).toEqual([encoding, complaints]);
  });

  it('must begin with a start and end with a stop', () => {
    const endOf = (...messages: object[]): string[] => {
      const { wire, complaints } = read(...messages);
      wire.end(0);
      return complaints;
    };
    expect([endOf(), endOf(START), endOf(START, STOP)]).toEqual([['no-start'], ['no-stop'], []]);
  });
});

describe('speech', () => {
  it('goes out with the client’s streamSid, once there is one', () => {
    expect(read().wire.canSpeak).toBe(false);
    const { wire } = read(START);
    expect(wire.canSpeak).toBe(true);
    expect(JSON.parse(wire.speechMessage(PAYLOAD))).toEqual({ ...MEDIA, streamSid: 'MZ1' });
    expect(JSON.parse(wire.interruptionMessage())).toEqual({ event: 'clear', streamSid: 'MZ1' });
    expect(JSON.parse(wire.markMessage('m'))).toEqual({ event: 'mark', streamSid: 'MZ1', mark: { name: 'm' } });
  });

  it.each(['audio/x-mulaw', 'audio/x-alaw'])('sounds the same at 8 kHz in %s and back', (encoding) => {
    const { wire } = read({ event: 'start', start: { ...START.start, mediaFormat: { encoding } } });
    const payload = wire.encode(pcmBytes(tone(1_000, 500)));
    expect(payload).toHaveLength(4_000);
    const back = pcmSamples(wire.decoder()(payload));
    expect(back).toHaveLength(8_000);
    expect(levelDbfs(back)).toBeCloseTo(levelDbfs(tone(1_000, 500)), 0);
  });
});
