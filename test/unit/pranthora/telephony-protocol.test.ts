import { describe, expect, it } from 'vitest';
import { TelephonyProtocol, type TelephonyStreamOptions } from '../../../src/pranthora/protocols/telephony-protocol.js';
import { decodedBy } from './decoded.js';

const AWKWARD = 'call "7"\\\n@host';

const stream = (options: Partial<TelephonyStreamOptions> = {}): TelephonyProtocol =>
  new TelephonyProtocol({ streamSid: 'MZ1', callSid: 'CA1', encoding: 'mulaw', ...options });

const decode = (message: string | Buffer, isBinary = false): unknown[][] => decodedBy(stream(), message, isBinary);
const media = (payload: unknown): string => JSON.stringify({ event: 'media', streamSid: 'MZ1', media: { payload } });
const parsed = (text: string | undefined): unknown => JSON.parse(text ?? '');

describe('what is sent', () => {
  it('begins with a start event in the full form', () => {
    const opening = stream({ accountSid: 'AC1', customParameters: { from: '+1555' } }).opening();
    expect(parsed(opening)).toEqual({
      event: 'start',
      sequenceNumber: '1',
      streamSid: 'MZ1',
      start: {
        streamSid: 'MZ1',
        callSid: 'CA1',
        accountSid: 'AC1',
        tracks: ['inbound'],
        customParameters: { from: '+1555' },
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
      },
    });
  });

  it('names A-law, and leaves out an account there is not', () => {
    const protocol = stream({ encoding: 'alaw' });
    expect(protocol.format).toBe('alaw');
    expect(parsed(protocol.opening())).toMatchObject({ start: { mediaFormat: { encoding: 'audio/x-alaw' } } });
    expect(protocol.closing()).not.toContain('accountSid');
  });

  it('carries frames in base64, numbered, with the time since the first', () => {
    const protocol = stream();
    protocol.opening();
    const frames = [1, 2].map((fill) => new Uint8Array(160).fill(fill));
    const messages = frames.map((frame) => parsed(protocol.encodeAudio(frame)));
    expect(messages).toEqual(
      frames.map((frame, index) => ({
        event: 'media',
        sequenceNumber: `${index + 2}`,
        streamSid: 'MZ1',
        media: {
          track: 'inbound',
          chunk: `${index + 1}`,
          timestamp: `${index * 20}`,
          payload: Buffer.from(frame).toString('base64'),
        },
      })),
    );
  });

  it('takes the bytes of a frame within a larger buffer', () => {
    const memory = Uint8Array.from({ length: 400 }, (_, i) => i % 256);
    const message = parsed(stream().encodeAudio(memory.subarray(100, 260))) as { media: { payload: string } };
    expect(Buffer.from(message.media.payload, 'base64')).toEqual(Buffer.from(memory.subarray(100, 260)));
  });

  it('echoes marks and stops once, all in one sequence', () => {
    const protocol = stream();
    expect(protocol.closing()).toBeUndefined();
    protocol.opening();
    protocol.encodeAudio(new Uint8Array(160));
    expect(parsed(protocol.markEcho('tts_completed'))).toEqual({
      event: 'mark',
      sequenceNumber: '3',
      streamSid: 'MZ1',
      mark: { name: 'tts_completed' },
    });
    expect(parsed(protocol.closing())).toEqual({
      event: 'stop',
      sequenceNumber: '4',
      streamSid: 'MZ1',
      stop: { callSid: 'CA1' },
    });
    expect(protocol.closing()).toBeUndefined();
  });

  it('tells keys pressed as Twilio does', () => {
    const protocol = stream();
    protocol.opening();
    expect(parsed(protocol.digit('#'))).toEqual({
      event: 'dtmf',
      sequenceNumber: '2',
      streamSid: 'MZ1',
      dtmf: { track: 'inbound_track', digit: '#' },
    });
  });

  it('is JSON whatever the identifiers and names hold', () => {
    const protocol = stream({ streamSid: AWKWARD, callSid: AWKWARD, customParameters: { [AWKWARD]: AWKWARD } });
    expect(parsed(protocol.opening())).toMatchObject({
      streamSid: AWKWARD,
      start: { callSid: AWKWARD, customParameters: { [AWKWARD]: AWKWARD } },
    });
    expect(parsed(protocol.encodeAudio(new Uint8Array(160)))).toMatchObject({ streamSid: AWKWARD });
    expect(parsed(protocol.markEcho(AWKWARD))).toMatchObject({ mark: { name: AWKWARD } });
    expect(parsed(protocol.closing())).toMatchObject({ stop: { callSid: AWKWARD } });
  });
});

describe('what comes from the server', () => {
  it.each([1, 2, 3, 159, 160, 161, 32_000])('%i bytes of media', (length) => {
    const bytes = Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7) % 256));
    expect(decode(media(bytes.toString('base64')))).toEqual([['audio', bytes]]);
    expect(decode(media(bytes.toString('base64').replace(/=+$/, '')))).toEqual([['audio', bytes]]);
  });

  it.each(['A', 'AAAAA', '!!!!', 'AA=A', 'AAA =', 'AAAA=', 'AAAA====', '=', '====', 'AA A', 'ÄÄÄÄ', 'AAAA\n'])(
    'media that is not base64: %j',
    (payload) => expect(decode(media(payload))).toEqual([['ignored', 'media that is not base64']]),
  );

  it('media without audio', () => {
    expect(decode(media(''))).toEqual([]);
    for (const message of [media(7), media(null), '{"event":"media"}', '{"event":"media","media":[]}']) {
      expect(decode(message)).toEqual([['ignored', 'media without a payload']]);
    }
  });

  it.each([
    ['{"event":"clear","streamSid":"MZ1"}', 'event:clear'],
    ['{"event":"Clear"}', 'event:clear'],
    ['{"event_type":"stop"}', 'event_type:stop'],
    ['{"event":"stop_speaking"}', 'event:stop_speaking'],
    ['{"event_type":"interruption"}', 'event_type:interruption'],
    [' STOP\n', 'stop'],
    ['clear', 'clear'],
    ['"clear"', 'clear'],
    ['{"type":"interruption"}', 'type:interruption'],
    // The `stop` of the stream's end is Twilio's, and has Twilio's key.
    ['{"type":"stop"}', 'type:stop'],
  ])('%s interrupts', (text, spelling) => expect(decode(text)).toEqual([['interruption', spelling]]));

  it.each([
    ['{"event":"stop","streamSid":"MZ1"}', 'stop event'],
    ['{"event":"call-end"}', 'call-end'],
  ])('%s ends the call', (text, spelling) => expect(decode(text)).toEqual([['hangup', spelling]]));

  it('marks', () =>
    expect(decode('{"event":"mark","streamSid":"MZ1","mark":{"name":"tts_completed"}}')).toEqual([
      ['mark', 'tts_completed'],
    ]));

  it.each([
    ['{"event":"connected"}', /^event "connected"$/],
    ['{"event":', /invalid JSON/],
    ['[]', /neither/],
    ['{"media":{"payload":"AAAA"}}', /without an event/],
    [`{"event":"media","media":${'['.repeat(50_000)}`, /invalid JSON/],
  ])('%s is ignored', (text, what) =>
    expect(decode(text)).toEqual([['ignored', expect.stringMatching(what) as string]]),
  );

  it('binary messages are not of this protocol, unless they are JSON', () => {
    expect(decode(Buffer.alloc(160), true)).toEqual([['ignored', 'binary message of 160 bytes']]);
    expect(decode('', true)).toEqual([['ignored', 'binary message of 0 bytes']]);
    expect(decode(Buffer.from('{"event":"clear"}'), true)).toEqual([['interruption', 'event:clear']]);
    expect(decode(Buffer.from(media('AAAA')), true)).toEqual([['audio', Buffer.alloc(3)]]);
  });

  it('media under another key', () =>
    expect(decode('{"type":"media","media":{"payload":"AAAA"}}')).toEqual([['audio', Buffer.alloc(3)]]));
});
