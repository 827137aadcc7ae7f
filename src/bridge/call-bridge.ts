import type { Clock } from '../clock.js';
import { errorText } from '../error-text.js';
import type { Logger } from '../logger.js';
import { AgentSession, type AgentAddress, type AgentSessionOptions } from '../pranthora/agent-session.js';
import type { AgentEnding } from '../pranthora/endings.js';
import type { AgentNetwork } from '../pranthora/network.js';
import { RtpEndpoint } from '../rtp/endpoint.js';
import { RTP_HEADER_BYTES, type RtpPacket } from '../rtp/packet.js';
import type { PortPool } from '../rtp/port-pool.js';
import { RtpReceiver } from '../rtp/receiver.js';
import { RtpSender } from '../rtp/sender.js';
import { TelephoneEventDetector } from '../rtp/telephone-event.js';
import { TurnEndWriter } from './uplink/turn-end-writer.js';
import { Downlink } from './downlink/downlink.js';
import { FarewellWatch } from './downlink/farewell-watch.js';
import type { BridgeCommand, BridgeEvent, BridgeId, BridgeMedia } from './messages.js';
import type { BridgeStats, Interruption } from './stats.js';
import { MediaLiveness } from './media-liveness.js';
import { PathMonitor } from './path-monitor.js';
import { PayloadTypes } from './payload-types.js';
import { TICK_MS, type Scheduler, type Ticking } from './scheduler.js';
import { Uplink, type UplinkOptions } from './uplink/uplink.js';
import { WayToCaller } from './downlink/way-to-caller.js';

/** 20 ms of 16-bit samples at 16 kHz. */
const MAX_FRAME_BYTES = 640;

/** What a call takes on this machine before it has to wait for the network: somebody waits for each of its steps. */
const SET_UP_MS = 50;

/** Packets that may wait for one before them. */
const MAX_HELD_PACKETS = 32;

const FRAMES_PER_SECOND = 1_000 / TICK_MS;
const STATS_EVERY_TICKS = 5_000 / TICK_MS;

/** Enough to judge a call by; a caller who interrupts all the time must not fill the memory. */
const MAX_INTERRUPTIONS = 1_000;

export interface BridgeSettings {
  /** Address RTP sockets are bound to. */
  readonly bind: string;
  readonly ports: { readonly min: number; readonly max: number };
  readonly reorderMs: number;
  readonly cushionMs: number;
  /** What the agent is told of keys: their tones, or events where its protocol has them. */
  readonly dtmf: UplinkOptions['dtmf'] | 'event';
  /** What the agent hears of a caller that has put it on hold: nothing, or what comes, which may be music. */
  readonly holdToAgent: 'silence' | 'audio';
  readonly rtpTimeoutMs: number;
  readonly farewellMs: number;
  readonly connectTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly settleMs: number;
  readonly reconnect: AgentSessionOptions['reconnect'];
}

export interface BridgeDependencies {
  readonly clock: Clock;
  /** The time of day in milliseconds since 1970, for RTCP. */
  readonly wallMs: () => number;
  readonly logger: Logger;
  readonly network: AgentNetwork;
  readonly scheduler: Scheduler;
  readonly ports: PortPool;
  /** SSRCs that the calls of this thread send. */
  readonly ownSsrcs: Set<number>;
  readonly emit: (event: BridgeEvent) => void;
}

/**
 * One call's media: the RTP socket, the agent's WebSocket, and the audio between them. Driven by commands and by the
 * 20 ms tick; tells what happens by events. It owns the socket, the agent session and its place in the scheduler, and
 * `close` lets go of all three.
 */
export class CallBridge implements Ticking {
  readonly id: BridgeId;
  readonly #settings: BridgeSettings;
  readonly #dependencies: BridgeDependencies;
  readonly #receiver: RtpReceiver;
  readonly #outlet: TurnEndWriter;
  readonly #uplink: Uplink;
  readonly #downlink: Downlink;
  readonly #telephoneEvents = new TelephoneEventDetector();
  #sender: RtpSender;
  readonly #liveness: MediaLiveness;
  readonly #path: PathMonitor;
  readonly #interruptions: Interruption[] = [];

  #endpoint: RtpEndpoint | undefined;
  #agent: AgentSession | undefined;
  /** The agent to connect once there is an RTP port. */
  #addressed: AgentAddress | undefined;
  #media: BridgeMedia | undefined;
  #payloadTypes = new PayloadTypes();
  readonly #wayToCaller = new WayToCaller();
  /** Our packets have been wanted. */
  #wasSending = false;
  #hasOverflowed = false;
  #stopTicking: (() => void) | undefined;
  #farewell: FarewellWatch | 'when-started' | undefined;
  #startedAtMs: number | undefined;
  #firstAudioMs: number | undefined;
  #reconnects = 0;
  #droppedFrames = 0;
  #ticks = 0;
  #failed = false;
  #closed = false;

  constructor(id: BridgeId, settings: BridgeSettings, dependencies: BridgeDependencies) {
    this.id = id;
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#receiver = new RtpReceiver({
      reorderMs: settings.reorderMs,
      maxHeld: MAX_HELD_PACKETS,
      onPacket: (packet) => this.#onOrderedPacket(packet),
    });
    const nowMs = dependencies.clock.nowMs();
    this.#outlet = new TurnEndWriter(dependencies.scheduler, (frame) => this.#sendFrame(frame));
    dependencies.scheduler.stayAwake(SET_UP_MS);
    this.#uplink = new Uplink(
      nowMs,
      (frame) => {
        this.#path.frameMade(dependencies.clock.nowMs());
        this.#outlet.offer(frame);
      },
      { dtmf: settings.dtmf === 'inband' ? 'inband' : 'none' },
    );
    this.#downlink = new Downlink({ cushionMs: settings.cushionMs, guardsStop: true });
    this.#sender = this.#newSender();
    this.#liveness = new MediaLiveness(settings.rtpTimeoutMs, nowMs);
    this.#path = new PathMonitor({ nowMs, wallMs: dependencies.wallMs(), ssrc: this.#sender.ssrc });
  }

  handle(command: BridgeCommand): void {
    switch (command.kind) {
      case 'open':
        void this.#open();
        break;
      case 'connect-agent':
        // Without a port the call comes to nothing, so its agent is not troubled before there is one.
        if (this.#endpoint) this.#connectAgent(command.address);
        else this.#addressed = command.address;
        break;
      case 'set-media':
        this.#setMedia(command.media);
        break;
      case 'start':
        this.#start();
        break;
      case 'confirm':
        this.#liveness.confirm();
        break;
      case 'renew-keys':
        if (this.#addressed) this.#addressed = { ...this.#addressed, apiKeys: command.apiKeys };
        this.#agent?.renewKeys(command.apiKeys);
        break;
      case 'send-digit':
        if (this.#settings.dtmf === 'event') this.#agent?.sendDigit(command.digit);
        break;
      case 'play-out':
        this.#playOut();
        break;
      case 'close':
        this.#close();
        break;
    }
  }

  /** Sends this tick's packet first: it is what the caller hears. */
  tick(nowMs: number): void {
    try {
      if (this.#startedAtMs !== undefined) this.#sendRtp(this.#startedAtMs, nowMs);
      // Reports go to who has shown to be there: on hold they are all that goes anywhere, for as long as it lasts.
      const report = this.#liveness.isProven ? this.#path.rtcp.due(nowMs) : undefined;
      if (report) this.#endpoint?.sendRtcp(report);
      this.#receiver.flush(nowMs);
      this.#uplink.tick(nowMs);
      this.#agent?.tick(nowMs);
      this.#watch(nowMs);
    } catch (error) {
      this.#onFault(error);
    }
  }

  skip(ticks: number): void {
    for (let i = 0; i < ticks; i++) this.#sender.skip();
  }

  async #open(): Promise<void> {
    const { clock, logger, ports } = this.#dependencies;
    try {
      const endpoint = await RtpEndpoint.open({
        bindAddress: this.#settings.bind,
        pool: ports,
        clock,
        logger,
        isPlausible: (packet) => this.#payloadTypes.carriedBy(packet.payloadType) !== undefined,
        isLooped: (packet) => this.#isLooped(packet.ssrc),
        onPacket: (packet, nowMs) => this.#onPacket(packet, nowMs),
        onKeepAlive: (nowMs) => this.#liveness.sign(nowMs),
        onRtcp: (bytes, nowMs) => {
          this.#liveness.sign(nowMs);
          this.#path.rtcp.onRtcp(bytes, nowMs);
        },
      });
      if (this.#closed) {
        endpoint.close();
        return;
      }
      this.#endpoint = endpoint;
      this.#emit({ kind: 'opened', bridge: this.id, rtpPort: endpoint.port });
    } catch (error) {
      if (!this.#closed) this.#emit({ kind: 'open-failed', bridge: this.id, detail: errorText(error) });
      return;
    }
    const address = this.#addressed;
    this.#addressed = undefined;
    if (address) this.#connectAgent(address);
  }

  #connectAgent(address: AgentAddress): void {
    if (this.#closed) return;
    this.#letAgentGo();
    const { clock, logger, network } = this.#dependencies;
    const { connectTimeoutMs, startTimeoutMs, reconnect } = this.#settings;
    const settleMs = this.#startedAtMs === undefined ? this.#settings.settleMs : 0;
    const agent = new AgentSession(
      { ...address, network, connectTimeoutMs, startTimeoutMs, settleMs, reconnect, clock, logger },
      {
        onFormat: (format) => {
          // What waits in the format so far is for a connection that is gone.
          this.#outlet.clear();
          this.#uplink.format = format;
          this.#downlink.format = format;
        },
        onReady: (info) => {
          // From here on the agent is never starved, whether or not the caller has been answered yet.
          this.#stopTicking ??= this.#dependencies.scheduler.add(this);
          this.#emit({ kind: 'agent-ready', bridge: this.id, connectMs: info.connectMs, startMs: info.startMs });
        },
        onAudio: (bytes) => {
          if (this.#downlink.isEmpty) this.#path.speechBegan(clock.nowMs());
          if (this.#downlink.push(bytes) > 0) this.#onOverflow();
        },
        onInterruption: (receivedAtMs) => {
          // Marks that an interruption discards are echoed too (Twilio's way): the agent counts on each of them.
          for (const mark of this.#downlink.interrupt(receivedAtMs)) agent.echoMark(mark);
          this.#path.speechDiscarded();
          // Before the answer nobody was hearing anything: there is no reaction to measure.
          if (this.#startedAtMs === undefined) this.#downlink.takeInterruption(receivedAtMs);
        },
        onMark: (name) => {
          this.#downlink.pushMark(name);
        },
        onReconnecting: (ending, attempt, delayMs) =>
          this.#emit({ kind: 'agent-reconnecting', bridge: this.id, ending, attempt, delayMs }),
        onReconnected: (outageMs) => {
          this.#reconnects += 1;
          this.#downlink.dropCarry();
          this.#emit({ kind: 'agent-reconnected', bridge: this.id, outageMs });
        },
        onEnded: (ending) => this.#emit({ kind: 'agent-ended', bridge: this.id, ending }),
      },
    );
    this.#agent = agent;
    agent.connect();
  }

  #letAgentGo(): void {
    if (!this.#agent) return;
    this.#droppedFrames += this.#agent.stats.framesDropped;
    this.#agent.close();
    this.#agent = undefined;
    this.#outlet.clear();
    this.#downlink.dropCarry();
    this.#downlink.dropMarks();
    // An early greeting of an agent that never got ready is no part of the call the next one takes.
    if (this.#startedAtMs === undefined) this.#downlink.discard();
  }

  #setMedia(media: BridgeMedia): void {
    this.#media = media;
    this.#payloadTypes = new PayloadTypes(media);
    this.#wasSending ||= media.sending;
    const { payloadBytes } = this.#downlink.frame;
    this.#downlink.encoding = media.encoding;
    // A frame of another size is another stream, with an SSRC of its own.
    if (this.#downlink.frame.payloadBytes !== payloadBytes) {
      this.#dependencies.ownSsrcs.delete(this.#sender.ssrc);
      this.#sender = this.#newSender();
    }
    this.#sender.setPayloadType(media.payloadType);
    const nowMs = this.#dependencies.clock.nowMs();
    this.#liveness.setSending(media.sending, nowMs);
    this.#path.setMedia(media, this.#downlink.frame.unitsPerFrame * FRAMES_PER_SECOND, nowMs);
    this.#setRemote(media);
  }

  #setRemote({ remote = { address: '0.0.0.0', port: 0 }, rtcp, latch = 'any', peer, newParty }: BridgeMedia): void {
    const before = this.#endpoint?.target;
    if (newParty) this.#endpoint?.forgetSource();
    this.#endpoint?.setRemote({ ...remote, latch, ...(rtcp ? { rtcp } : {}), ...(peer === undefined ? {} : { peer }) });
    const target = this.#endpoint?.target;
    if (target?.address !== before?.address || target?.port !== before?.port) this.#liveness.targetChanged();
    this.#liveness.isTargetPeer = this.#endpoint?.isTargetPeer === true;
  }

  #start(): void {
    if (this.#closed || this.#startedAtMs !== undefined) return;
    this.#startedAtMs = this.#dependencies.clock.nowMs();
    this.#liveness.start(this.#startedAtMs);
    this.#path.start(this.#startedAtMs);
    if (this.#farewell) this.#playOut();
  }

  /**
   * A call of ours, heard by this one. Its own stream that comes back may also be an echo test at the other end: it is
   * its own loop only where it has been sent to a port of this number.
   */
  #isLooped(ssrc: number): boolean {
    if (!this.#dependencies.ownSsrcs.has(ssrc)) return false;
    return ssrc !== this.#sender.ssrc || this.#endpoint?.target?.port === this.#endpoint?.port;
  }

  #onPacket(packet: RtpPacket, nowMs: number): void {
    this.#liveness.sign(nowMs);
    try {
      this.#path.arrived(packet, this.#payloadTypes.carriedBy(packet.payloadType), nowMs);
      this.#receiver.receive(packet, nowMs);
    } catch (error) {
      this.#onFault(error);
    }
  }

  #onOrderedPacket(packet: RtpPacket): void {
    const nowMs = this.#dependencies.clock.nowMs();
    const carried = this.#payloadTypes.carriedBy(packet.payloadType);
    if (carried === undefined) return;
    if (carried === 'comfort-noise' || (carried !== 'telephone-event' && this.#isMuted)) {
      this.#uplink.receiveComfortNoise(packet);
    } else if (carried !== 'telephone-event') {
      this.#uplink.encoding = carried;
      this.#uplink.receive(packet, nowMs);
      this.#path.taken(packet, this.#uplink, nowMs);
    } else {
      this.#uplink.receiveEvent(packet, nowMs);
      const digit = this.#telephoneEvents.receive(packet);
      if (digit !== undefined) this.#emit({ kind: 'dtmf', bridge: this.id, digit });
    }
  }

  /** On hold: the music that may come is for no agent. A stream that was one-way from the beginning is no hold. */
  get #isMuted(): boolean {
    return this.#wasSending && this.#media?.sending === false && this.#settings.holdToAgent === 'silence';
  }

  #onOverflow(): void {
    if (this.#hasOverflowed) return;
    this.#hasOverflowed = true;
    this.#emit({ kind: 'queue-full', bridge: this.id, queuedMs: Math.round(this.#downlink.stats.queuedMs) });
  }

  #sendFrame(frame: Buffer): void {
    const nowMs = this.#dependencies.clock.nowMs();
    try {
      this.#agent?.sendFrame(frame, nowMs);
    } catch (error) {
      this.#onFault(error);
    }
  }

  #sendRtp(startedAtMs: number, nowMs: number): void {
    const sending = this.#media?.sending === true && this.#liveness.maySend();
    if (!sending) this.#sender.skip();
    const packet = sending ? this.#sender.nextPacket() : this.#unsent;
    const isHeard = this.#wayToCaller.isOpen(this.#media, this.#liveness.isProven, nowMs - startedAtMs);
    const speech = isHeard && this.#downlink.nextPayload(packet, RTP_HEADER_BYTES);
    if (!isHeard) this.#downlink.wait(packet, RTP_HEADER_BYTES);
    if (sending) {
      this.#endpoint?.send(packet);
      this.#path.sent(packet, speech, nowMs);
    }
    if (speech && sending) this.#firstAudioMs ??= roundMs(nowMs - startedAtMs);
    for (const mark of this.#downlink.takeMarks()) this.#agent?.echoMark(mark);
    const interruption = this.#downlink.takeInterruption(nowMs);
    if (interruption) this.#onInterruptionDone(interruption);
  }

  /** Where speech goes that a caller on hold does not hear: time does not stand still for the agent. */
  readonly #unsent = Buffer.alloc(RTP_HEADER_BYTES + MAX_FRAME_BYTES);

  #onInterruptionDone(measured: Interruption): void {
    const interruption = {
      reactionMs: roundMs(measured.reactionMs),
      discardedMs: roundMs(measured.discardedMs),
    };
    if (this.#interruptions.length < MAX_INTERRUPTIONS) this.#interruptions.push(interruption);
    this.#emit({ kind: 'interrupted', bridge: this.id, interruption });
  }

  #playOut(): void {
    const isStarted = this.#startedAtMs !== undefined;
    // Before the start nobody hears the silence that lets a last word be heard.
    if (!isStarted && this.#downlink.isEmpty) this.#emit({ kind: 'played-out', bridge: this.id, leftMs: 0 });
    else if (!isStarted) this.#farewell = 'when-started';
    else this.#farewell = new FarewellWatch(this.#dependencies.clock.nowMs(), this.#settings.farewellMs);
  }

  /** What only shows as time goes by. */
  #watch(nowMs: number): void {
    this.#ticks += 1;
    this.#endpoint?.tick(nowMs, this.#dependencies.scheduler.isBusy);
    if (this.#farewell instanceof FarewellWatch && this.#farewell.isOver(this.#downlink.isEmpty, nowMs)) {
      this.#farewell = undefined;
      this.#emit({ kind: 'played-out', bridge: this.id, leftMs: this.#downlink.stats.queuedMs });
    }
    const silentMs = this.#liveness.timeout(nowMs);
    if (silentMs !== undefined) this.#emit({ kind: 'rtp-timeout', bridge: this.id, silentMs });
    if (this.#ticks % STATS_EVERY_TICKS === 0) this.#emit({ kind: 'stats', bridge: this.id, stats: this.#stats() });
  }

  /** A fault of ours in one call must not take the tick, or the packets, from the others. Told once, not every 20 ms. */
  #onFault(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#dependencies.logger.error({ event: 'bridge.fault', bridge: this.id, err: error });
    const ending: AgentEnding = { kind: 'configuration', detail: `internal fault: ${errorText(error)}` };
    this.#emit({ kind: 'agent-ended', bridge: this.id, ending });
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTicking?.();
    this.#letAgentGo();
    const goodbye = this.#path.rtcp.end(this.#dependencies.clock.nowMs());
    if (goodbye) this.#endpoint?.sendRtcp(goodbye);
    const stats = this.#stats();
    this.#endpoint?.close();
    this.#dependencies.ownSsrcs.delete(this.#sender.ssrc);
    this.#dependencies.emit({ kind: 'closed', bridge: this.id, stats });
  }

  #newSender(): RtpSender {
    const { unitsPerFrame, payloadBytes } = this.#downlink.frame;
    const sender = new RtpSender({ payloadType: 0, payloadBytes, samplesPerPacket: unitsPerFrame });
    this.#dependencies.ownSsrcs.add(sender.ssrc);
    return sender;
  }

  #emit(event: BridgeEvent): void {
    if (!this.#closed) this.#dependencies.emit(event);
  }

  #stats(): BridgeStats {
    const rtp = this.#endpoint?.stats;
    const { packets, lost, late, duplicates, reordered } = this.#receiver.stats;
    const uplink = this.#uplink.stats;
    return {
      uplink: {
        packets,
        lost,
        late: late + uplink.late,
        duplicates,
        reordered,
        foreign: (rtp?.ignoredSource ?? 0) + (rtp?.ignoredRtcp ?? 0),
        malformed: (rtp?.malformed ?? 0) + this.#path.rtcp.stats.malformed,
        frames: uplink.frames,
        filledMs: uplink.filledMs,
        concealedMs: uplink.concealedMs,
        joinedFrames: uplink.joinedFrames,
        stretchedFrames: uplink.stretchedFrames,
        droppedFrames: this.#droppedFrames + (this.#agent?.stats.framesDropped ?? 0),
      },
      downlink: { packets: rtp?.sent ?? 0, sendErrors: rtp?.sendErrors ?? 0, ...this.#downlink.stats },
      ...(this.#firstAudioMs === undefined ? {} : { firstAudioMs: this.#firstAudioMs }),
      interruptions: [...this.#interruptions],
      reconnects: this.#reconnects,
      ...(rtp?.source ? { remote: rtp.source } : {}),
      path: this.#path.stats(rtp, this.#dependencies.clock.nowMs()),
    };
  }
}

/** Figures for people and logs: a tenth of a millisecond says enough. */
const roundMs = (ms: number): number => Math.round(ms * 10) / 10;
