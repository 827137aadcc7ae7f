import { describe, expect, it } from 'vitest';
import { readDtmfInfo } from '../../../src/signaling/dtmf-info.js';

const RELAY = 'application/dtmf-relay';
const PLAIN = 'application/dtmf';

describe('an INFO', () => {
  it.each([
    [RELAY, 'Signal=5\r\nDuration=160\r\n', '5', 160],
    [RELAY, 'Signal= 5\nDuration= 250', '5', 250],
    [RELAY, 'SIGNAL = *', '*', 160],
    [RELAY, 'Duration=80\r\nSignal=#', '#', 80],
    [RELAY, 'Signal=d\r\nSignal=5', 'D', 160],
    [RELAY, 'Signal=11\r\nDuration=soon', '#', 160],
    [RELAY, 'Signal=0\r\nDuration=999999', '0', 10_000],
    [`${RELAY};charset=utf-8`, 'Signal=1', '1', 160],
    ['Application/DTMF-Relay', 'Signal=10', '*', 160],
    [PLAIN, '9', '9', 160],
    [PLAIN, ' #\r\n', '#', 160],
    [PLAIN, 'Signal=7\r\nDuration=100', '7', 100],
  ])('%s with %j is the digit %s of %i ms', (type, body, digit, durationMs) =>
    expect(readDtmfInfo(type, body)).toEqual({ kind: 'digit', digit, durationMs }),
  );

  it.each([
    [undefined, ''],
    ['', '\r\n'],
    [RELAY, ''],
    [RELAY, 'Signal=16'],
    [PLAIN, '!'],
    [PLAIN, 'hf'],
  ])('%s with %j is nothing to us', (type, body) => expect(readDtmfInfo(type, body)).toEqual({ kind: 'nothing' }));

  it.each([
    ['application/media_control+xml', '<media_control/>', 415],
    [undefined, 'Signal=5', 415],
    ['application/sdp', '', 415],
    ['application/dtmf-relayed', 'Signal=5', 415],
    [RELAY, '5', 400],
    [RELAY, 'Signal=', 400],
    [RELAY, 'Signal=55', 400],
    [RELAY, 'Signal=E', 400],
    [RELAY, 'Signal=constructor', 400],
    [PLAIN, '55', 400],
    [PLAIN, 'Duration=100', 400],
    [RELAY, `Signal=5\r\n${'x'.repeat(300)}`, 400],
    [RELAY, '='.repeat(60_000), 400],
    [RELAY, ' '.repeat(60_000), 400],
  ])('%s with %j is refused with %i', (type, body, status) =>
    expect(readDtmfInfo(type, body)).toEqual({ kind: 'refused', status }),
  );
});
