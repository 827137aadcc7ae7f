import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FileWatch } from '../../../src/cli/file-watch.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryFile } from './support.js';

describe('FileWatch', () => {
  it('tells of a changed, a removed and a replaced file, each once', async () => {
    const file = temporaryFile('one');
    const clock = new FakeClock();
    let changes = 0;
    const watch = new FileWatch(
      () => [file],
      clock,
      () => (changes += 1),
    );
    await look(clock);
    expect(changes).toBe(0);
    writeFileSync(file, 'longer');
    await look(clock);
    await look(clock);
    expect(changes).toBe(1);
    rmSync(file);
    await look(clock);
    expect(changes).toBe(2);
    writeFileSync(`${file}.new`, 'longer');
    renameSync(`${file}.new`, file);
    await look(clock);
    expect(changes).toBe(3);
    watch.close();
    watch.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('looks at files that join later, without taking their joining for a change', async () => {
    const files = [temporaryFile('one')];
    const later = temporaryFile('two');
    const clock = new FakeClock();
    let changes = 0;
    const watch = new FileWatch(
      () => files,
      clock,
      () => (changes += 1),
    );
    files.push(later);
    await look(clock);
    expect(changes).toBe(0);
    writeFileSync(later, 'longer');
    await look(clock);
    expect(changes).toBe(1);
    watch.close();
  });

  it('tells nothing once closed, not even what it is just looking at', async () => {
    const file = temporaryFile('one');
    const clock = new FakeClock();
    const watch = new FileWatch(
      () => [file],
      clock,
      () => {
        throw new Error('told after it was closed');
      },
    );
    writeFileSync(file, 'longer');
    clock.advance(1000);
    watch.close();
    await delay(20);
    expect(clock.pendingTimers).toBe(0);
  });

  /** Lets one look happen and finish: the next one is then waiting. */
  async function look(clock: FakeClock): Promise<void> {
    clock.advance(1000);
    while (clock.pendingTimers === 0) await delay(1);
  }
});
