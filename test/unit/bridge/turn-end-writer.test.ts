import { describe, expect, it } from 'vitest';
import { TurnEndWriter } from '../../../src/bridge/uplink/turn-end-writer.js';
import type { Flushing } from '../../../src/bridge/scheduler.js';

/** What an outlet has sent, and the turn it waits for. */
function bench(): { outlet: TurnEndWriter; sent: string[]; endTurn: () => void; asked: () => number } {
  const sent: string[] = [];
  const waiting: Flushing[] = [];
  let asked = 0;
  const outlet = new TurnEndWriter(
    {
      atTurnEnd: (flushing) => {
        asked += 1;
        waiting.push(flushing);
      },
    },
    (frame) => {
      sent.push(frame.toString('latin1'));
    },
  );
  const endTurn = (): void => {
    for (const flushing of waiting.splice(0)) flushing.flush();
  };
  return { outlet, sent, endTurn, asked: () => asked };
}

describe('TurnEndWriter', () => {
  it('sends at the end of the turn what the frame was when it was offered', () => {
    const { outlet, sent, endTurn } = bench();
    const frame = Buffer.from('first');
    outlet.offer(frame);
    frame.write('other');
    expect(sent).toEqual([]);
    endTurn();
    expect(sent).toEqual(['first']);
    endTurn();
    expect(sent).toEqual(['first']);
  });

  it('sends several frames of a turn in order, and asks for its end once', () => {
    const { outlet, sent, endTurn, asked } = bench();
    for (const text of ['one', 'two', 'three, which is longer']) outlet.offer(Buffer.from(text));
    expect(sent).toEqual(['one', 'two']);
    expect(asked()).toBe(1);
    endTurn();
    expect(sent).toEqual(['one', 'two', 'three, which is longer']);
    outlet.offer(Buffer.from('next'));
    expect(asked()).toBe(2);
    endTurn();
    expect(sent.at(-1)).toBe('next');
  });

  it('sends nothing of what was for an agent that is gone', () => {
    const { outlet, sent, endTurn } = bench();
    outlet.offer(Buffer.from('for the first agent'));
    outlet.clear();
    outlet.offer(Buffer.from('for the second'));
    endTurn();
    expect(sent).toEqual(['for the second']);
  });
});
