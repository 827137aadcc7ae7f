import { describe, expect, test } from 'vitest';
import { AnswerRetransmission } from '../../../src/sip-agent/dialog/answer-retransmission.js';
import { InviteClientTransaction, NonInviteClientTransaction } from '../../../src/sip-agent/transaction/client.js';
import { InviteServerTransaction, NonInviteServerTransaction } from '../../../src/sip-agent/transaction/server.js';
import { sipTimers } from '../../../src/sip-agent/transaction/timers.js';
import { FakeClock } from '../../support/fake-clock.js';

const timers = sipTimers();
const REQUEST = Buffer.from('request');
const bytes = (text: string): Buffer => Buffer.from(text);

/** What a transaction did, with the milliseconds since it began. */
class Journal {
  readonly clock = new FakeClock(0);
  readonly entries: string[] = [];

  note(what: string): void {
    this.entries.push(`${this.clock.nowMs()} ${what}`);
  }

  times(what: string): number[] {
    const suffix = ` ${what}`;
    return this.entries.filter((entry) => entry.endsWith(suffix)).map((entry) => Number.parseInt(entry, 10));
  }
}

function server<T>(
  Transaction: new (options: ConstructorParameters<typeof InviteServerTransaction>[0]) => T,
  reliable = false,
  isHeard?: () => boolean,
): { journal: Journal; transaction: T } {
  const journal = new Journal();
  const transaction = new Transaction({
    clock: journal.clock,
    timers,
    reliable,
    isHeard,
    send: (sent) => journal.note(sent.toString()),
    terminated: () => journal.note('terminated'),
  });
  return { journal, transaction };
}

function inviteClient(reliable = false) {
  const journal = new Journal();
  const transaction = new InviteClientTransaction<{ status: number }>({
    ...clientOptions(journal, reliable),
    ackFor: ({ status }) => bytes(`ack ${status}`),
    ringingTooLong: () => journal.note('ringing too long'),
  });
  transaction.start();
  return { journal, transaction };
}

function nonInviteClient(reliable = false) {
  const journal = new Journal();
  const transaction = new NonInviteClientTransaction<{ status: number }>(clientOptions(journal, reliable));
  transaction.start();
  return { journal, transaction };
}

function clientOptions(journal: Journal, reliable: boolean) {
  return {
    clock: journal.clock,
    timers,
    reliable,
    request: REQUEST,
    send: (sent: Buffer) => journal.note(sent.toString()),
    response: ({ status }: { status: number }) => journal.note(`got ${status}`),
    failed: (failure: string) => journal.note(failure),
    terminated: () => journal.note('terminated'),
  };
}

describe('INVITE client transaction', () => {
  test('timer A doubles without a ceiling until timer B at 64·T1', () => {
    const { journal } = inviteClient();
    journal.clock.advance(60_000);
    expect(journal.times('request')).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    expect(journal.times('timeout')).toEqual([32_000]);
    expect(journal.entries.at(-1)).toBe('32000 terminated');
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('on TCP nothing is retransmitted, timer B still ends it', () => {
    const { journal } = inviteClient(true);
    journal.clock.advance(60_000);
    expect(journal.times('request')).toEqual([0]);
    expect(journal.times('timeout')).toEqual([32_000]);
  });

  test('a provisional response stops timers A and B; timer C counts from the last one', () => {
    const { journal, transaction } = inviteClient();
    journal.clock.advance(100);
    transaction.receive({ status: 180 });
    journal.clock.advance(150_000);
    transaction.receive({ status: 183 });
    journal.clock.advance(199_999);
    expect(journal.times('request')).toEqual([0]);
    expect(journal.times('ringing too long')).toEqual([]);
    journal.clock.advance(1);
    expect(journal.times('ringing too long')).toEqual([350_100]);
    transaction.terminate();
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('a refusal is acknowledged, also when it comes again, until timer D', () => {
    const { journal, transaction } = inviteClient();
    transaction.receive({ status: 486 });
    journal.clock.advance(500);
    transaction.receive({ status: 486 });
    expect(journal.times('ack 486')).toEqual([0, 500]);
    expect(journal.times('got 486')).toEqual([0]);
    transaction.receive({ status: 200 });
    expect(journal.times('got 200')).toEqual([]);
    journal.clock.advance(60_000);
    expect(journal.entries.at(-1)).toBe('32000 terminated');
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('on TCP timer D is 0', () => {
    const { journal, transaction } = inviteClient(true);
    transaction.receive({ status: 404 });
    expect(journal.entries).toEqual(['0 request', '0 ack 404', '0 got 404', '0 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('every 2xx is passed up until timer M, none is acknowledged here', () => {
    const { journal, transaction } = inviteClient();
    transaction.receive({ status: 200 });
    journal.clock.advance(1_000);
    transaction.receive({ status: 200 });
    transaction.receive({ status: 486 });
    expect(journal.times('got 200')).toEqual([0, 1_000]);
    expect(journal.times('got 486')).toEqual([]);
    journal.clock.advance(60_000);
    expect(journal.entries.at(-1)).toBe('32000 terminated');
    expect(journal.times('ack 200')).toEqual([]);
  });

  test('a CANCEL that brings nothing ends it 64·T1 later, whatever still rings', () => {
    const { journal, transaction } = inviteClient();
    transaction.receive({ status: 180 });
    transaction.expectEndAfterCancel();
    journal.clock.advance(10_000);
    transaction.receive({ status: 180 });
    journal.clock.advance(60_000);
    expect(journal.times('timeout')).toEqual([32_000]);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('a transport failure ends it only before the peer has answered', () => {
    const first = inviteClient(true);
    first.transaction.transportFailed();
    expect(first.journal.entries).toEqual(['0 request', '0 transport', '0 terminated']);
    const second = inviteClient(true);
    second.transaction.receive({ status: 180 });
    second.transaction.transportFailed();
    expect(second.journal.entries).toEqual(['0 request', '0 got 180']);
  });
});

describe('other client transactions', () => {
  test('timer E doubles up to T2 until timer F at 64·T1', () => {
    const { journal } = nonInviteClient();
    journal.clock.advance(60_000);
    expect(journal.times('request')).toEqual([
      0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(journal.times('timeout')).toEqual([32_000]);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('after a provisional response it is retransmitted every T2', () => {
    const { journal, transaction } = nonInviteClient();
    journal.clock.advance(100);
    transaction.receive({ status: 100 });
    journal.clock.advance(60_000);
    expect(journal.times('request')).toEqual([0, 500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500]);
    expect(journal.times('timeout')).toEqual([32_000]);
  });

  test('a final response is told once; timer K keeps repetitions out', () => {
    const { journal, transaction } = nonInviteClient();
    transaction.receive({ status: 200 });
    journal.clock.advance(1_000);
    transaction.receive({ status: 200 });
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['0 request', '0 got 200', '5000 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('on TCP timer K is 0', () => {
    const { journal, transaction } = nonInviteClient(true);
    transaction.receive({ status: 200 });
    expect(journal.entries).toEqual(['0 request', '0 got 200', '0 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('a failed transport ends it', () => {
    const { journal, transaction } = nonInviteClient(true);
    transaction.transportFailed();
    expect(journal.entries).toEqual(['0 request', '0 transport', '0 terminated']);
  });
});

describe('INVITE server transaction', () => {
  test('a repeated INVITE gets the last provisional response again', () => {
    const { journal, transaction } = server(InviteServerTransaction);
    transaction.receiveRetransmission();
    transaction.respond(100, bytes('100'));
    transaction.receiveRetransmission();
    transaction.respond(180, bytes('180'));
    transaction.receiveRetransmission();
    expect(journal.entries).toEqual(['0 100', '0 100', '0 180', '0 180']);
    transaction.terminate();
  });

  test('timer G repeats a refusal up to every T2 until timer H', () => {
    const { journal, transaction } = server(InviteServerTransaction);
    transaction.respond(486, bytes('486'));
    journal.clock.advance(60_000);
    expect(journal.times('486')).toEqual([0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    expect(journal.entries.at(-1)).toBe('32000 terminated');
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('to a peer never heard a refusal goes once for each copy of the INVITE', () => {
    const { journal, transaction } = server(InviteServerTransaction, false, () => false);
    transaction.tryAfter(200, () => bytes('100'));
    journal.clock.advance(100);
    transaction.respond(401, bytes('401'));
    journal.clock.advance(400);
    transaction.receiveRetransmission();
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['100 401', '500 401', '8100 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('to one that has had a provisional response, and waits for the rest, it is repeated twice', () => {
    const { journal, transaction } = server(InviteServerTransaction, false, () => false);
    transaction.tryAfter(200, () => bytes('100'));
    journal.clock.advance(1_000);
    transaction.respond(503, bytes('503'));
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['200 100', '1000 503', '1500 503', '2500 503', '33000 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('the 100 goes before any other provisional response, and none after the end', () => {
    const { journal, transaction } = server(InviteServerTransaction);
    transaction.tryAfter(200, () => bytes('100'));
    transaction.respond(180, bytes('180'));
    journal.clock.advance(1_000);
    transaction.terminate();
    expect(journal.entries).toEqual(['0 100', '0 180', '1000 terminated']);
    const other = server(InviteServerTransaction);
    other.transaction.tryAfter(200, () => bytes('100'));
    other.transaction.terminate();
    expect(other.journal.clock.pendingTimers).toBe(0);
  });

  test('the ACK stops it; timer I keeps further ACKs out', () => {
    const { journal, transaction } = server(InviteServerTransaction);
    transaction.respond(486, bytes('486'));
    journal.clock.advance(100);
    expect(transaction.receiveAck()).toBe(true);
    expect(transaction.receiveAck()).toBe(true);
    transaction.receiveRetransmission();
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['0 486', '5100 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('on TCP a refusal is sent once and timer I is 0', () => {
    const { journal, transaction } = server(InviteServerTransaction, true);
    transaction.respond(486, bytes('486'));
    journal.clock.advance(10_000);
    expect(journal.times('486')).toEqual([0]);
    transaction.receiveAck();
    expect(journal.entries.at(-1)).toBe('10000 terminated');
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('after a 2xx it absorbs the INVITE and leaves the ACK to the dialog, until timer L', () => {
    const { journal, transaction } = server(InviteServerTransaction);
    transaction.respond(200, bytes('200'));
    transaction.receiveRetransmission();
    expect(transaction.receiveAck()).toBe(false);
    expect(transaction.respond(486, bytes('486'))).toBe(false);
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['0 200', '32000 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('ends once', () => {
    const { journal, transaction } = server(InviteServerTransaction);
    transaction.terminate();
    transaction.terminate();
    expect(journal.times('terminated')).toHaveLength(1);
    expect(transaction.respond(200, bytes('200'))).toBe(false);
  });
});

describe('other server transactions', () => {
  test('a repeated request gets the response again until timer J', () => {
    const { journal, transaction } = server(NonInviteServerTransaction);
    transaction.receiveRetransmission();
    transaction.respond(200, bytes('200'));
    journal.clock.advance(31_000);
    transaction.receiveRetransmission();
    expect(transaction.respond(500, bytes('500'))).toBe(false);
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['0 200', '31000 200', '32000 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('on TCP timer J is 0', () => {
    const { journal, transaction } = server(NonInviteServerTransaction, true);
    transaction.respond(200, bytes('200'));
    expect(journal.entries).toEqual(['0 200', '0 terminated']);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('without a response it ends when the client has given up', () => {
    const { journal, transaction } = server(NonInviteServerTransaction);
    transaction.respond(100, bytes('100'));
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['0 100', '32000 terminated']);
    expect(transaction.open).toBe(false);
  });
});

describe('repetition of a 2xx', () => {
  function retransmission(heard?: boolean) {
    const journal = new Journal();
    const answer = new AnswerRetransmission({
      clock: journal.clock,
      timers,
      heard,
      send: () => journal.note('200'),
      gaveUp: () => journal.note('gave up'),
    });
    return { journal, answer };
  }

  test('after T1, doubling up to T2, for 64·T1', () => {
    const { journal } = retransmission();
    journal.clock.advance(60_000);
    expect(journal.times('200')).toEqual([500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    expect(journal.times('gave up')).toEqual([32_000]);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('to a peer never heard half as often, as long', () => {
    const { journal } = retransmission(false);
    journal.clock.advance(60_000);
    expect(journal.times('200')).toEqual([500, 1_500, 3_500, 7_500, 15_500]);
    expect(journal.times('gave up')).toEqual([32_000]);
    expect(journal.clock.pendingTimers).toBe(0);
  });

  test('the ACK stops it', () => {
    const { journal, answer } = retransmission();
    journal.clock.advance(600);
    answer.stop();
    answer.stop();
    journal.clock.advance(60_000);
    expect(journal.entries).toEqual(['500 200']);
    expect(journal.clock.pendingTimers).toBe(0);
  });
});
