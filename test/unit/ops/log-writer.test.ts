import { describe, expect, it } from 'vitest';
import type { Outlet } from '../../../src/ops/log-outlet.js';
import { LogWriter } from '../../../src/ops/log-writer.js';
import { FakeClock } from '../../support/fake-clock.js';

const QUEUE_BYTES = 256 * 1024;

/** An outlet that takes what it is told to, when it is told to. */
class TestOutlet implements Outlet {
  text = '';
  last = '';
  #pending: { data: Buffer; done: (error: NodeJS.ErrnoException | null, written: number) => void } | undefined;

  write(data: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void {
    expect(this.#pending).toBeUndefined();
    this.#pending = { data, done };
  }

  finish(rest: Buffer): void {
    this.last = String(rest);
  }

  get pending(): string | undefined {
    return this.#pending && String(this.#pending.data);
  }

  take(octets = Infinity): void {
    const { data, done } = this.#next();
    const taken = data.subarray(0, octets);
    this.text += String(taken);
    done(null, taken.length);
  }

  refuse(code: string): void {
    this.#next().done(Object.assign(new Error(code), { code }), 0);
  }

  #next(): { data: Buffer; done: (error: NodeJS.ErrnoException | null, written: number) => void } {
    const pending = this.#pending;
    if (!pending) throw new Error('nothing is being written');
    this.#pending = undefined;
    return pending;
  }
}

function setUp(): { writer: LogWriter; outlet: TestOutlet; clock: FakeClock; recovered: string[] } {
  const [outlet, clock, recovered] = [new TestOutlet(), new FakeClock(), [] as string[]];
  const writer = new LogWriter(outlet, clock);
  writer.onRecovered = (lines, why) => {
    recovered.push(`${lines}: ${why}`);
    writer.write('recovered\n');
  };
  return { writer, outlet, clock, recovered };
}

describe('LogWriter', () => {
  it('writes one piece at a time, in order, and what came meanwhile in one piece', () => {
    const { writer, outlet } = setUp();
    for (const line of ['a\n', 'b\n', 'c\n']) writer.write(line);
    expect(outlet.pending).toBe('a\n');
    outlet.take();
    expect(outlet.pending).toBe('b\nc\n');
    outlet.take();
    expect(outlet.text).toBe('a\nb\nc\n');
    expect(writer.state()).toEqual({ status: 'ok', droppedLines: 0, detail: 'written' });
  });

  it('goes on in the middle of a line, and asks again where there was no room', () => {
    const { writer, outlet, clock } = setUp();
    writer.write('abcdef\n');
    outlet.take(3);
    outlet.take(0);
    expect(outlet.pending).toBeUndefined();
    clock.advance(50);
    outlet.take();
    expect(outlet.text).toBe('abcdef\n');
  });

  it('drops what it has no room for, counts it, and says it once when it can write again', () => {
    const { writer, outlet, clock, recovered } = setUp();
    const line = `${'x'.repeat(1023)}\n`;
    for (let n = 0; n < 300; n++) writer.write(line);
    expect(writer.droppedLines).toBe(300 - QUEUE_BYTES / 1024);
    clock.advance(5_000);
    expect(writer.state()).toEqual({
      status: 'degraded',
      droppedLines: 44,
      detail: 'nothing could be written for 5 s, 262,144 octets wait; 44 lines lost: whoever reads the log is too slow',
    });
    outlet.take();
    expect(recovered).toEqual(['44: whoever reads the log is too slow']);
    outlet.take();
    expect(outlet.text.endsWith('x\nrecovered\n')).toBe(true);
    expect(outlet.pending).toBeUndefined();
    expect(writer.state()).toMatchObject({ status: 'ok', droppedLines: 44 });
    // All of the room is there again.
    for (let n = 0; n < 256; n++) writer.write(line);
    expect(writer.droppedLines).toBe(44);
  });

  it('counts the lines that are refused, each once, and keeps trying', () => {
    const { writer, outlet, recovered } = setUp();
    for (const line of ['a\n', 'b\n', 'c\n']) writer.write(line);
    outlet.refuse('ENOSPC');
    outlet.refuse('ENOSPC');
    expect(outlet.pending).toBeUndefined();
    expect(writer.state()).toEqual({
      status: 'degraded',
      droppedLines: 3,
      detail: 'not written; 3 lines lost: ENOSPC',
    });
    writer.write('d\n');
    outlet.refuse('EIO');
    writer.write('e\n');
    outlet.take();
    expect(recovered).toEqual(['4: EIO']);
    outlet.take();
    expect(outlet.text).toBe('e\nrecovered\n');
  });

  it('leaves a line that was cut off alone on its line', () => {
    const { writer, outlet } = setUp();
    writer.write('{"a":1}\n');
    outlet.take(4);
    outlet.refuse('ENOSPC');
    expect(writer.droppedLines).toBe(1);
    writer.write('{"b":2}\n');
    outlet.take();
    expect(outlet.text).toBe('{"a"\n{"b":2}\n');
  });

  it('waits for what is queued, but not for ever', async () => {
    const { writer, outlet, clock } = setUp();
    await writer.flush(1_000);
    writer.write('a\n');
    const flushed = writer.flush(1_000);
    outlet.take();
    await flushed;
    writer.write('b\n');
    const given = writer.flush(1_000);
    clock.advance(1_000);
    await given;
  });

  it('hands what waits to the outlet when the process ends', () => {
    const { writer, outlet } = setUp();
    for (const line of ['a\n', 'b\n', 'c\n']) writer.write(line);
    writer.finish();
    expect(outlet.last).toBe('b\nc\n');
  });
});
