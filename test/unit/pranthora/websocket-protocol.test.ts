import { describe, expect, it } from 'vitest';
import { webSocketProtocol } from '../../../src/pranthora/protocols/websocket-protocol.js';
import { decodedBy } from './decoded.js';

const decode = (message: string | Buffer, isBinary = false): unknown[][] =>
  decodedBy(webSocketProtocol, message, isBinary);

describe('text from the server', () => {
  it.each([
    '{"event_type": "start_media_streaming"}',
    '{"event":"start_media_streaming"}',
    ' {"event_type":"Start_Media_Streaming"}\n',
  ])('%s starts the caller’s audio', (text) => expect(decode(text)).toEqual([['start']]));

  it.each([
    ['stop', 'stop'],
    ['STOP', 'stop'],
    [' Stop\r\n', 'stop'],
    ['clear', 'clear'],
    ['{"event":"stop"}', 'event:stop'],
    ['{"event":"clear","streamSid":"MZ1"}', 'event:clear'],
    ['{"event_type":"stop_speaking"}', 'event_type:stop_speaking'],
    ['{"event":"Interruption"}', 'event:interruption'],
    ['{"event_type":"stop","event":7}', 'event_type:stop'],
    ['"stop"', 'stop'],
    ['"STOP"\n', 'stop'],
    ['"clear"', 'clear'],
    ['\ufeffstop', 'stop'],
    ['\ufeff{"event":"stop"}', 'event:stop'],
    ['interruption', 'interruption'],
    ['"stop_speaking"', 'stop_speaking'],
    ['{"type":"interruption"}', 'type:interruption'],
    ['{"type": " Stop-Speaking "}', 'type:stop-speaking'],
    ['{"type":"stopSpeaking"}', 'type:stopspeaking'],
    ['{"type":"control","event":"clear"}', 'event:clear'],
    ['{"type":"event","event":"interruption"}', 'event:interruption'],
    ['{"event":"event","type":"interruption"}', 'type:interruption'],
    ['{"event":{"type":"clear"}}', 'type:clear'],
    ['{"type":"message","data":{"event":"stop"}}', 'event:stop'],
    ['{"data":{"event_type":"stop"}}', 'event_type:stop'],
    [JSON.stringify('{"event":"clear"}'), 'event:clear'],
  ])('%s interrupts', (text, spelling) => expect(decode(text)).toEqual([['interruption', spelling]]));

  it.each([
    ['{"event":"call-end"}', 'call-end'],
    ['{"event_type":"call_end"}', 'call_end'],
    ['{"type":"call-end"}', 'call-end'],
    ['{"type":"CallEnd"}', 'callend'],
    ['"call-end"', 'call-end'],
  ])('%s ends the call', (text, spelling) => expect(decode(text)).toEqual([['hangup', spelling]]));

  it('reads marks, with or without a name', () => {
    expect(decode('{"event":"mark","mark":{"name":"tts_completed"}}')).toEqual([['mark', 'tts_completed']]);
    expect(decode('{"event":"mark","mark":[1]}')).toEqual([['mark', '']]);
    expect(decode(`{"event":"mark","mark":{"name":"${'m'.repeat(256)}"}}`)).toEqual([['mark', 'm'.repeat(256)]]);
    expect(decode(`{"event":"mark","mark":{"name":"${'m'.repeat(257)}"}}`)).toEqual([
      ['ignored', 'a mark with a name of 257 characters'],
    ]);
  });

  it.each([
    ['', /neither/],
    ['hello', /neither/],
    ['stopp', /neither/],
    ['"stopp"', /neither/],
    ['"stop', /invalid JSON/],
    [JSON.stringify(JSON.stringify('stop')), /invalid JSON/],
    ['"[\\"stop\\"]"', /neither/],
    ['stop.', /neither/],
    ['7', /neither/],
    ['{"type":"tool_call","data":{"type":"stop"}}', /^event "tool_call"$/],
    ['{"type":"event"}', /without an event/],
    ['[{"event":"stop"}]', /neither/],
    ['{"event":"stop"', /invalid JSON/],
    ['{}', /without an event/],
    ['{"event":null}', /without an event/],
    ['{"event":["stop"]}', /without an event/],
    ['{"__proto__":{"event":"stop"}}', /without an event/],
  ])('%s is ignored', (text, what) =>
    expect(decode(text)).toEqual([['ignored', expect.stringMatching(what) as string]]),
  );

  it('ignores an oversized text without parsing it', () => {
    const text = `{"event":"stop","padding":"${'x'.repeat(1024 * 1024)}"}`;
    expect(decode(text)).toEqual([['ignored', `text of ${text.length} bytes`]]);
  });

  it.each(['transcript', 'first_response', 'agent_stop'])('takes %s for a report, and says nothing of it', (name) =>
    expect(decode(`{"type":"${name}","role":"user","text":"secret words"}`)).toEqual([['report', name]]),
  );

  it.each([
    ['{"type":"error","message":"overloaded"}', 'overloaded'],
    ['{"event":"error","error":{"message":"no credit"}}', 'no credit'],
    ['{"event":"error","error":"no credit"}', 'no credit'],
    ['{"type":"error"}', 'no message'],
  ])('%s is an error', (text, detail) => expect(decode(text)).toEqual([['error', detail]]));

  it('takes speech in JSON, in base64, for what it sends in binary', () => {
    const payload = Buffer.from([1, 2, 3, 4]);
    const media = { media: { payload: payload.toString('base64') } };
    expect(decode(JSON.stringify({ type: 'media', ...media }))).toEqual([['audio', payload]]);
    expect(decode(JSON.stringify({ event: 'media', ...media }))).toEqual([['audio', payload]]);
    expect(decode('{"type":"media"}')).toEqual([['ignored', 'media without a payload']]);
  });

  it('survives text nested as deep as the size limit allows', () => {
    expect(decode(`{"a":${'['.repeat(32_000)}`)).toEqual([['ignored', 'invalid JSON']]);
    const nested = `{"event":"stop","a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
    expect(decode(nested)).toEqual([['interruption', 'event:stop']]);
  });

  it('never repeats more than the beginning of an unknown event', () =>
    expect(decode(`{"event":"${'e'.repeat(10_000)}"}`)).toEqual([['ignored', `event "${'e'.repeat(40)}"`]]));
});

describe('binary from the server', () => {
  it.each([1, 639, 640, 641, 64_000])('%i bytes are speech, untouched', (length) => {
    const bytes = Buffer.alloc(length, 7);
    expect(decode(bytes, true)).toEqual([['audio', bytes]]);
  });

  it('is speech even when it spells stop, and nothing when empty', () => {
    expect(decode('stop', true)).toEqual([['audio', Buffer.from('stop')]]);
    expect(decode('', true)).toEqual([]);
  });
});

it('sends a frame as it is', () => {
  const frame = new Uint8Array(640).fill(3);
  expect(webSocketProtocol.encodeAudio(frame)).toBe(frame);
});

it('never sends text: the server would take it for a broken message', () => {
  expect(webSocketProtocol.clientBegins).toBe(false);
  expect(webSocketProtocol.opening()).toBeUndefined();
  expect(webSocketProtocol.markEcho('m')).toBeUndefined();
  expect(webSocketProtocol.digit('1')).toBeUndefined();
  expect(webSocketProtocol.closing()).toBeUndefined();
});
