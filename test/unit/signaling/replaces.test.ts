import { describe, expect, it } from 'vitest';
import { isMeant, readReplaces } from '../../../src/signaling/replaces.js';

const dialog = { callId: 'a84b4c76e66710@pc33.example', localTag: '7743', remoteTag: '6472' };

describe('readReplaces', () => {
  it.each([
    'a84b4c76e66710@pc33.example;to-tag=7743;from-tag=6472',
    'a84b4c76e66710@pc33.example ; From-Tag = 6472 ; TO-TAG=7743;x=y;z',
    'a84b4c76e66710%40pc33.example%3Bto-tag%3D7743%3Bfrom-tag%3D6472',
  ])('reads %s', (value) => expect(readReplaces(value)).toEqual({ dialog, earlyOnly: false }));

  it('reads early-only, in any case', () =>
    expect(readReplaces('a;to-tag=1;from-tag=2;Early-Only')).toMatchObject({ earlyOnly: true }));

  it('reads Call-IDs of odd characters', () => {
    const callId = '<a>"b"\\[c]{d}?/:(e)+~`\'|!%*@host'.replace('|', '');
    expect(readReplaces(`${callId};to-tag=1;from-tag=2`)?.dialog.callId).toBe(callId);
  });

  it.each([
    '',
    'a',
    'a;to-tag=1',
    'a;from-tag=1',
    'a;to-tag=;from-tag=2',
    'a;to-tag=1;to-tag=1;from-tag=2',
    'a;to-tag=1;from-tag=2,b;to-tag=1;from-tag=2',
    'a b;to-tag=1;from-tag=2',
    'a;to-tag=1 2;from-tag=2',
    '%ff',
    ';to-tag=1;from-tag=2',
    `${'a'.repeat(2_000)};to-tag=1;from-tag=2`,
  ])('refuses %j', (value) => expect(readReplaces(value)).toBeUndefined());
});

describe('isMeant', () =>
  it('compares all three, and takes 0 for no tag', () => {
    expect(isMeant(dialog, { ...dialog })).toBe(true);
    expect(isMeant(dialog, { ...dialog, callId: 'A84B4C76E66710@pc33.example' })).toBe(false);
    expect(isMeant(dialog, { ...dialog, localTag: '6472', remoteTag: '7743' })).toBe(false);
    const untagged = { ...dialog, remoteTag: '' };
    expect(isMeant({ ...dialog, remoteTag: '0' }, untagged)).toBe(true);
    expect(isMeant({ ...dialog, remoteTag: '0' }, { ...dialog, remoteTag: '0' })).toBe(true);
    expect(isMeant({ ...dialog, remoteTag: '0' }, dialog)).toBe(false);
  }));
