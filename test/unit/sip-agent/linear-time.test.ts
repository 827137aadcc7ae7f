import { describe, expect, test } from 'vitest';
import { parseNameAddr, parseParams, parseVia, splitHeaderList } from '../../../src/sip-agent/syntax/headers.js';
import { LIMITS } from '../../../src/sip-agent/syntax/limits.js';
import { parseDatagram, StreamParser } from '../../../src/sip-agent/syntax/parse.js';
import { parseSipUri } from '../../../src/sip-agent/syntax/uri.js';
import { processorMs } from '../../support/processor-time.js';
import { savedCorpus } from '../../support/sip-fuzz.js';
import { inviteText, inviteWith } from './sip-texts.js';

const SMALL = 8_192;
const LARGE = 65_536;
const GROWTH = LARGE / SMALL;
/** So many that the compiler has had its turn. */
const RUNS_OF_SLOW = 40;

/**
 * Expects of the least processor time of several runs, what the work takes when nothing disturbs it, that `one` stays
 * below what `other` allows it. More runs are made while it does not: a busy machine has its quiet moments.
 */
function expectLess(one: () => unknown, other: () => unknown, allowedMs: (otherMs: number) => number, runs = 12): void {
  let oneMs = Infinity;
  let otherMs = Infinity;
  for (let run = 0; run < runs || (run < 20 * runs && oneMs >= allowedMs(otherMs)); run++) {
    oneMs = Math.min(oneMs, processorMs(one));
    otherMs = Math.min(otherMs, processorMs(other));
  }
  expect(oneMs).toBeLessThan(allowedMs(otherMs));
}

/**
 * Eight times the input may take eight times as long, and with noise three times that; quadratic work would take
 * sixty-four times. Below five milliseconds there is nothing to measure: 64 KB squared is seconds.
 */
function expectLinear(work: (length: number) => () => unknown): void {
  const small = work(SMALL);
  const large = work(LARGE);
  large();
  expectLess(large, small, (smallMs) => Math.max(5, 3 * GROWTH * smallMs));
}

const PIECES = [
  ...[' ', '"', '\\"', ',', ';', '<', ':', '%41', 'ü', 'a ', ' ;', ';a=b', ';a=" ', 'sip:a@', '<sip:a>,'],
  ...['SIP/2.0/UDP a,', '\r\n ', 'a\r\n \t'],
];

const fill = (piece: string, length: number): string => piece.repeat(Math.ceil(length / piece.length)).slice(0, length);

describe('the slowest messages of 64 KB that were found', () => {
  const slow = savedCorpus.filter(({ name }) => name.startsWith('slow-'));
  const ordinary = inviteText();

  // Under two was measured. Without a limit on Contacts it was more than six.
  test.each(slow)('$name takes less than five times what ordinary INVITEs of 64 KB take', ({ bytes }) => {
    expect(bytes.length).toBeGreaterThan(60_000);
    const ordinaryOnes = (): void => {
      for (let octets = 0; octets < bytes.length; octets += ordinary.length) parseDatagram(ordinary);
    };
    expectLess(
      () => parseDatagram(bytes),
      ordinaryOnes,
      (ordinaryMs) => 5 * ordinaryMs,
      RUNS_OF_SLOW,
    );
  });

  test('there are some', () => expect(slow.length).toBeGreaterThan(2));
});

describe('work grows no faster than the input', () => {
  test.each(PIECES)('a message with headers of %j', (piece) => {
    for (const name of ['Via', 'Contact', 'X-Any']) {
      expectLinear((length) => {
        const line = `${name}: ${fill(piece, LIMITS.headerLength - 16)}`;
        const bytes = inviteWith(name, ...Array<string>(length / LIMITS.headerLength).fill(line));
        return () => parseDatagram(bytes);
      });
    }
  });

  test.each([...PIECES, '\r\n', 'a\r\n', 'a:b\r\n', '\n', '\0'])('a message of %j', (piece) => {
    expectLinear((length) => {
      const bytes = Buffer.from(fill(piece, length));
      return () => parseDatagram(bytes);
    });
    expectLinear((length) => {
      const bytes = Buffer.from(`INVITE sip:a@b SIP/2.0\r\n${fill(piece, length)}\r\n\r\n`);
      return () => parseDatagram(bytes);
    });
    expectLinear((length) => {
      const bytes = Buffer.from(`INVITE ${fill(piece, length)} SIP/2.0\r\n\r\n`);
      return () => parseDatagram(bytes);
    });
  });

  test.each([
    ['parseNameAddr', parseNameAddr],
    ['parseVia', parseVia],
    ['parseParams', parseParams],
    ['parseSipUri', parseSipUri],
    ['splitHeaderList', splitHeaderList],
  ])('%s, whatever its limits are', (_, parse) => {
    for (const piece of PIECES) {
      expectLinear((length) => {
        const text = fill(piece, length);
        return () => parse(text);
      });
    }
  });

  test.each(['a:b\r\n', 'a', '\r\n', '\r\n '])('a stream of %j, an octet at a time', (piece) =>
    expectLinear((length) => {
      const bytes = Buffer.from(`A sip:a SIP/2.0\r\nl: 50000\r\n\r\n${fill(piece, length)}`).subarray(0, length);
      return () => {
        const parser = new StreamParser();
        for (let at = 0; at < bytes.length; at++) parser.push(bytes.subarray(at, at + 1));
      };
    }),
  );

  test('a stream whose header never ends, an octet at a time', () =>
    expectLinear((length) => {
      const bytes = Buffer.from(fill('a:b\r\n', length));
      return () => {
        const parser = new StreamParser();
        for (let at = 0; at < bytes.length; at++) parser.push(bytes.subarray(at, at + 1));
      };
    }));
});
