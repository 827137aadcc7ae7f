import { describe, expect, it } from 'vitest';
import { paramOf, readNameAddr, splitValues } from '../../../src/signaling/name-addr.js';

const nameAndUri = (value: string): [string, string] => {
  const { name, uri } = readNameAddr(value);
  return [name, uri];
};

describe('readNameAddr', () => {
  it.each([
    ['<sip:1@a.example>', '', 'sip:1@a.example'],
    ['sip:1@a.example;tag=7', '', 'sip:1@a.example'],
    ['tel:+1-555-0100;phone-context=x', '', 'tel:+1-555-0100'],
    ['sip:1@a.example;+sip.instance="<urn:uuid:1>"', '', 'sip:1@a.example'],
    ['Alice <sip:1@a.example>;tag=7', 'Alice', 'sip:1@a.example'],
    ['"Bond, James" <sip:7@a.example>', 'Bond, James', 'sip:7@a.example'],
    ['"a \\"quoted\\" <b> \\\\" <sip:1@a.example>', 'a "quoted" <b> \\', 'sip:1@a.example'],
    ['"sip:999@evil;x" < sip:1@a.example >', 'sip:999@evil;x', 'sip:1@a.example'],
    ['Jürgen Müller (EU) <sip:1@a.example>', 'Jürgen Müller (EU)', 'sip:1@a.example'],
    ['""unknown"" <sip:1@a.example>', 'unknown', 'sip:1@a.example'],
    ['"" <sip:1@a.example>', '', 'sip:1@a.example'],
    ['"line\r\n break\t" <sip:1@a.example>', 'line break', 'sip:1@a.example'],
    ['"never closed <sip:1@a.example>', '', ''],
    ['Alice <sip:1@a.example', 'Alice', 'sip:1@a.example'],
    ['', '', ''],
  ])('%s', (value, name, uri) => expect(nameAndUri(value)).toEqual([name, uri]));

  it('keeps no more of a name than a telephone shows', () =>
    expect(readNameAddr(`"${'x'.repeat(5_000)}" <sip:1@a.example>`).name).toHaveLength(128));

  it('gives the parameters of the header, not those of the URI', () => {
    const { params } = readNameAddr('<sip:1;a=1@a.example;index=9>;Index=1.2 ; reason="no-answer";late');
    expect(['index', 'reason', 'late', 'a'].map((name) => paramOf(params, name))).toEqual([
      ...['1.2', 'no-answer', '', undefined],
    ]);
  });
});

describe('splitValues', () => {
  it('splits at the commas between values alone', () => {
    const values = ['"Bond, \\"J\\", James" <sip:7,8@a.example?x=1,2>;a=b', '<sip:1@a.example>', 'sip:2@a.example'];
    expect(splitValues(values.join(', '))).toEqual(values);
    expect(splitValues(` , ${values.join(' ,')},`)).toEqual(values);
    expect(splitValues('')).toEqual([]);
    expect(splitValues('"open, <sip:1@a.example>, <sip:2@a.example>')).toHaveLength(1);
  });

  // At 64 KB quadratic work would take minutes, and the test would not come to its end.
  it.each(['"', '<', '\\"', ',', '"\\', '<,', ';', 'a ', '>'])('comes to an end with many of %s', (piece) => {
    const text = piece.repeat(200_000);
    for (const value of splitValues(text)) readNameAddr(value);
    readNameAddr(text);
    paramOf(text, 'index');
  });
});

describe('paramOf', () =>
  it('takes nothing for a parameter that stands in quotes', () =>
    expect(paramOf(';x="a;expires=1,\\";expires=2";expires=60', 'expires')).toBe('60')));
