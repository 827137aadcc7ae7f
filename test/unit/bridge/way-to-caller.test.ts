import { describe, expect, it } from 'vitest';
import type { BridgeMedia } from '../../../src/bridge/messages.js';
import { WayToCaller } from '../../../src/bridge/downlink/way-to-caller.js';

const MEDIA: BridgeMedia = { encoding: 'PCMU', payloadType: 0, sending: true, receiving: true };
const remote = { address: '10.0.0.9', port: 4_000 };

describe('the way to the caller', () => {
  it('is open where the SDP says it', () =>
    expect(new WayToCaller().isOpen({ ...MEDIA, remote }, false, 0)).toBe(true));

  it.each([
    ['an address behind NAT', { ...MEDIA, remote, remoteIsDoubtful: true }],
    ['no address', MEDIA],
    ['nothing yet', undefined],
  ])('is not with %s, until the caller shows it or 500 ms have gone by', (_, media) => {
    const shown = new WayToCaller();
    expect(shown.isOpen(media, false, 0)).toBe(false);
    expect(shown.isOpen(media, false, 480)).toBe(false);
    expect(shown.isOpen(media, true, 490)).toBe(true);
    expect(new WayToCaller().isOpen(media, false, 500)).toBe(true);
  });

  it('stays open', () => {
    const way = new WayToCaller();
    way.isOpen(MEDIA, true, 0);
    expect(way.isOpen(MEDIA, false, 20)).toBe(true);
  });
});
