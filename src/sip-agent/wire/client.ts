import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { AgentClock } from '../environment.js';
import type { Flow } from '../transport/flow.js';
import { encodeFrame } from './codec.js';

/** Octets a client may leave unread before its connection is closed. */
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

/** A message for a client, with what the protocol adds to it. */
export interface MessageNote {
  readonly flow: Flow;
  readonly bytes: Buffer;
  readonly transactionId: string;
  /** Empty when there is no dialog. */
  readonly dialogId: string;
}

/** One connected SIP client, such as drachtio-srf: sends it the messages of drachtio's protocol. */
export class WireClient {
  /** Methods whose requests it handles, in lower case. */
  readonly verbs = new Set<string>();
  readonly #socket: Socket;
  readonly #clock: AgentClock;
  /** The second of the last message, since the epoch and as HH:MM:SS. */
  #second = NaN;
  #secondText = '';

  constructor(socket: Socket, clock: AgentClock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  get connected(): boolean {
    return this.#socket.writable;
  }

  /** A message from the network: a request, which the client answers by its transaction id, or a response. */
  fromNetwork(note: MessageNote): void {
    const { address, port } = note.flow.local;
    this.#send(`sip|network|${this.#describe(note)}|${note.transactionId}|${note.dialogId}|${address}|${port}|`, note);
  }

  /** A BYE that the agent sent itself. */
  unsolicited(note: Omit<MessageNote, 'transactionId'>): void {
    this.#send(`sip|application|${this.#describe(note)}|unsolicited|${note.dialogId}|`, note);
  }

  /** The message of a command was sent. */
  sent(commandId: string, note: MessageNote): void {
    const what = `${this.#describe(note)}|${note.transactionId}|${note.dialogId}`;
    this.#send(`response|${commandId}|OK|application|${what}||Msg sent:|`, note);
  }

  ok(commandId: string, data?: string): void {
    this.#send(`response|${commandId}|OK${data === undefined ? '' : `|${data}`}`);
  }

  /** The command could not be carried out. */
  failed(commandId: string, reason: string): void {
    this.#send(`response|${commandId}|NOK|${reason.replace(/[|\r\n]/g, ' ')}`);
  }

  /** Refuses a command and closes the connection. */
  dismiss(commandId: string, reason: string): void {
    this.#send(`response|${commandId}|NO|${reason}`);
    this.#socket.end();
  }

  #send(head: string, note?: { readonly bytes: Buffer }): void {
    if (!this.#socket.writable) return;
    this.#flushLater();
    this.#socket.write(encodeFrame(`${randomUUID()}|${head}`, note?.bytes));
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.#socket.destroy();
  }

  /** Messages of one event-loop turn are written together. */
  #flushLater(): void {
    if (this.#socket.writableCorked > 0) return;
    this.#socket.cork();
    setImmediate(() => this.#socket.uncork());
  }

  #describe({ flow, bytes }: Pick<MessageNote, 'flow' | 'bytes'>): string {
    return `${bytes.length}|${flow.protocol}|${flow.remote.address}|${flow.remote.port}|${this.#timeOfDay()}`;
  }

  /** HH:MM:SS.uuuuuu in UTC. */
  #timeOfDay(): string {
    const micros = Math.floor(1_000 * (performance.timeOrigin + this.#clock.nowMs()));
    const second = Math.floor(micros / 1_000_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(1_000 * second).toISOString().slice(11, 19);
    }
    return `${this.#secondText}.${String(micros % 1_000_000).padStart(6, '0')}`;
  }
}
