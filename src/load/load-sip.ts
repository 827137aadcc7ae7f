import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';

const ANSWER_TIMEOUT_MS = 10_000;

/** What the callee answered. */
export interface Answered {
  /** From the INVITE on the way out to the 200 on the way in. */
  readonly setUpMs: number;
  /** Where the callee wants its RTP. */
  readonly rtpPort: number;
}

interface PendingCall {
  readonly invitedAtMs: number;
  readonly resolve: (answered: Answered) => void;
  readonly reject: (error: Error) => void;
  readonly target: string;
}

/**
 * Calls on loopback over one UDP socket, as much SIP as it takes: INVITE, ACK, BYE. What it costs is no part of what is
 * measured, and nothing is sent twice, for nothing is lost here.
 */
export class LoadSip {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #pending = new Map<string, PendingCall>();
  readonly #toTags = new Map<string, string>();
  readonly #whenGone = new Map<string, () => void>();

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    // A callee that is gone: its calls are not answered.
    socket.on('error', () => undefined);
    socket.on('message', (bytes) => this.#onMessage(bytes.toString('latin1')));
  }

  static async open(sipPort: number, clock: Clock): Promise<LoadSip> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.connect(sipPort, '127.0.0.1');
    await once(socket, 'connect');
    return new LoadSip(socket, clock);
  }

  /** Calls `number` and says that PCMU is heard on `rtpPort`. Rejects with the status when the call is refused. */
  invite(callId: string, number: string, rtpPort: number): Promise<Answered> {
    const target = `sip:${number}@127.0.0.1`;
    const offer = ['v=0', 'o=load 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
    const body = [...offer, `m=audio ${rtpPort} RTP/AVP 0`, ''].join('\r\n');
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
        this.#pending.delete(callId);
        reject(new Error('no answer'));
      });
      this.#pending.set(callId, {
        target,
        invitedAtMs: this.#clock.nowMs(),
        resolve: (answered) => {
          cancelTimer();
          resolve(answered);
        },
        reject: (error) => {
          cancelTimer();
          reject(error);
        },
      });
      this.#send('INVITE', callId, target, { body });
    });
  }

  /** BYE; resolves when it is answered. */
  bye(callId: string, number: string): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancelTimer();
        this.#whenGone.delete(callId);
        this.#toTags.delete(callId);
        resolve();
      };
      const cancelTimer = this.#clock.after(ANSWER_TIMEOUT_MS, done);
      this.#whenGone.set(callId, done);
      this.#send('BYE', callId, `sip:${number}@127.0.0.1`, { sequence: 2 });
    });
  }

  close(): void {
    this.#socket.close();
  }

  #send(method: string, callId: string, target: string, { body = '', sequence = 1 } = {}): void {
    const { port } = this.#socket.address();
    const toTag = this.#toTags.get(callId);
    const lines = [
      `${method} ${target} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};rport;branch=z9hG4bK${randomBytes(8).toString('hex')}`,
      'Max-Forwards: 70',
      `From: <sip:load@127.0.0.1>;tag=load`,
      `To: <${target}>${toTag === undefined ? '' : `;tag=${toTag}`}`,
      `Call-ID: ${callId}`,
      `CSeq: ${sequence} ${method}`,
      `Contact: <sip:load@127.0.0.1:${port}>`,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
    ];
    this.#socket.send(`${lines.join('\r\n')}\r\n\r\n${body}`);
  }

  #onMessage(text: string): void {
    const status = Number(/^SIP\/2\.0 (\d{3})/.exec(text)?.[1]);
    const callId = /^Call-ID: *(\S+)/im.exec(text)?.[1] ?? '';
    const method = /^CSeq: *\d+ +(\S+)/im.exec(text)?.[1];
    if (!(status >= 200)) return;
    if (method === 'BYE') this.#whenGone.get(callId)?.();
    else if (method === 'INVITE') this.#onFinal(callId, status, text);
  }

  #onFinal(callId: string, status: number, text: string): void {
    const call = this.#pending.get(callId);
    if (!call) return;
    this.#pending.delete(callId);
    this.#toTags.set(callId, /^To:[^\r\n]*;tag=([^\s;]+)/im.exec(text)?.[1] ?? '');
    this.#send('ACK', callId, call.target);
    const rtpPort = Number(/^m=audio (\d+)/m.exec(text)?.[1]);
    if (status === 200) call.resolve({ setUpMs: this.#clock.nowMs() - call.invitedAtMs, rtpPort });
    else {
      this.#toTags.delete(callId);
      call.reject(new Error(`refused with ${status}`));
    }
  }
}
