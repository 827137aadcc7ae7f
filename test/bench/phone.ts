import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decodeG711, encodeG711 } from '../../src/audio/g711.js';
import { Scheduler, type Ticking } from '../../src/bridge/scheduler.js';
import { systemClock } from '../../src/clock.js';
import { RTP_HEADER_BYTES } from '../../src/rtp/packet.js';
import { RtpSender } from '../../src/rtp/sender.js';
import { PeerCall } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

const PACKET_SAMPLES = 160;

export interface Arrival {
  readonly atMs: number;
  /** Greatest distance from zero of its samples. */
  readonly peak: number;
}

/** A telephone with nothing between its sockets and the clock: text for SIP, PCMU for audio. One call. */
export class BenchPhone implements Ticking {
  /** Every packet that came, stamped first thing in the socket's handler. */
  readonly arrivals: Arrival[] = [];
  /** When each packet was sent: read right before the send, which is a system call and nothing else. */
  readonly sentAtMs: number[] = [];
  /** From the INVITE on the way out to the 200 on the way in. */
  answerMs = 0;
  readonly #sip: UdpPeer;
  readonly #call: PeerCall;
  readonly #rtp: Socket;
  readonly #sender = new RtpSender({ payloadType: 0, payloadBytes: PACKET_SAMPLES, samplesPerPacket: PACKET_SAMPLES });
  readonly #scheduler = new Scheduler(systemClock);
  readonly #decoded = new Int16Array(PACKET_SAMPLES);
  #stopTicking: (() => void) | undefined;
  #says: (packet: number) => Int16Array = () => new Int16Array(PACKET_SAMPLES);

  private constructor(sip: UdpPeer, rtp: Socket, sipPort: number) {
    this.#sip = sip;
    this.#rtp = rtp;
    this.#call = new PeerCall(sip, sipPort);
  }

  static async open(sipPort: number): Promise<BenchPhone> {
    const sip = await UdpPeer.open({ address: '127.0.0.1', port: sipPort });
    const rtp = createSocket('udp4');
    rtp.bind(0, '127.0.0.1');
    await once(rtp, 'listening');
    return new BenchPhone(sip, rtp, sipPort);
  }

  /** Calls. From the answer on `says` gives the 20 ms of every packet. */
  async call(says: (packet: number) => Int16Array): Promise<void> {
    this.#says = says;
    const offer = ['v=0', 'o=bench 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
    const body = [...offer, `m=audio ${this.#rtp.address().port} RTP/AVP 0`, ''].join('\r\n');
    const invitedAtMs = systemClock.nowMs();
    this.#call.invite({ body });
    const answer = await this.#sip.next('200 INVITE');
    this.answerMs = systemClock.nowMs() - invitedAtMs;
    this.#call.ack(answer);
    await this.#startRtp(Number(/^m=audio (\d+)/m.exec(answer.body)?.[1]));
  }

  async hangUp(): Promise<void> {
    this.#stopTicking?.();
    this.#call.next('BYE');
    await this.#sip.next('200 BYE');
    this.#rtp.close();
    await this.#sip.close();
  }

  tick(): void {
    const says = this.#says(this.sentAtMs.length);
    const packet = this.#sender.nextPacket();
    encodeG711('mulaw', says, 0, PACKET_SAMPLES, packet, RTP_HEADER_BYTES);
    this.sentAtMs.push(systemClock.nowMs());
    this.#rtp.send(packet);
  }

  skip(ticks: number): void {
    for (let i = 0; i < ticks; i++) this.#sender.skip();
  }

  /** Connected, a socket takes a packet without looking an address up. */
  async #startRtp(port: number): Promise<void> {
    this.#rtp.on('message', (bytes) => this.#onPacket(bytes));
    this.#rtp.connect(port, '127.0.0.1');
    await once(this.#rtp, 'connect');
    this.#stopTicking = this.#scheduler.add(this);
  }

  #onPacket(bytes: Buffer): void {
    const atMs = systemClock.nowMs();
    decodeG711('mulaw', bytes, RTP_HEADER_BYTES, PACKET_SAMPLES, this.#decoded, 0);
    this.arrivals.push({ atMs, peak: this.#decoded.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0) });
  }
}
