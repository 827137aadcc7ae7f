import type { AgentAddress, BridgeEvent, BridgeHandle } from '../bridge/messages.js';
import type { Route } from '../config/types.js';
import { errorText } from '../error-text.js';
import type { AcceptedOffer } from '../media/engine.js';
import type { AgentEnding } from '../pranthora/endings.js';
import { isMeant, type DialogId } from '../signaling/replaces.js';
import {
  RenegotiationRefused,
  type DialogHandlers,
  type IncomingInvite,
  type RenegotiationRequest,
} from '../signaling/sip-endpoint.js';
import { CallAgents } from './call-agents.js';
import { CallerDialog } from './caller-dialog.js';
import { CallerMedia } from './caller-media.js';
import { CallerTransfer, redirectOf, referOnAgentEnd } from './caller-transfer.js';
import type { CallDependencies, CallPlan } from './call-dependencies.js';
import { callEnd, endOfFault, withFallback, type CallEnd } from './call-end.js';
import { CallReporter } from './call-reporter.js';
import { nextState, type CallInput, type CallState } from './call-state.js';
import { DigitFilter, type DigitPath } from './digit-filter.js';
import { Farewell } from './farewell.js';
import type { LiveCall } from './live-call.js';
import { MaxDuration } from './max-duration.js';
import { replaceCaller } from './replacing.js';

/**
 * One call, from INVITE to its record. The agent is connected before the call is answered, so that a failure is a SIP
 * status the PBX can act on. Holds a bridge, the caller's media and a dialog; `#closeOut` is the only place that lets go of
 * them, and `#enter('end')` the only way there.
 */
export class Call {
  readonly route: Route | undefined;

  readonly #invite: IncomingInvite;
  readonly #dependencies: CallDependencies;
  readonly #onClosed: (call: Call) => void;
  readonly #reporter: CallReporter;

  #state: CallState = 'received';
  #agents: CallAgents | undefined;
  #farewell: Farewell | undefined;
  #offer: AcceptedOffer | undefined;
  #bridge: BridgeHandle | undefined;
  #bridgeClosed: Promise<void> = Promise.resolve();
  #onBridgeClosed: (() => void) | undefined;
  #rtpPort = 0;
  #media: CallerMedia | undefined;
  readonly #dialog: CallerDialog;
  /** An answer on its way; the call is not over before it is known whether there is a dialog to end. */
  #answering: Promise<void> = Promise.resolve();
  #isBeingReplaced = false;
  readonly #digits = new DigitFilter();
  readonly #transfer: CallerTransfer;
  readonly #maxDuration: MaxDuration;

  constructor(invite: IncomingInvite, plan: CallPlan, dependencies: CallDependencies, onClosed: (call: Call) => void) {
    this.#invite = invite;
    this.route = plan.route;
    this.#dependencies = dependencies;
    this.#onClosed = onClosed;
    const { clock, media, transferTimeoutMs } = dependencies;
    this.#reporter = new CallReporter({ ...dependencies, invite, ...plan, mediaEngine: media.name });
    const { report } = this.#reporter;
    this.#dialog = this.#newDialog();
    this.#maxDuration = new MaxDuration({
      ...{ clock, report, maxDurationMs: dependencies.maxDurationMs },
      onReached: () => this.end(callEnd.maxDuration(dependencies.maxDurationMs)),
    });
    this.#transfer = new CallerTransfer({
      timeoutMs: transferTimeoutMs,
      report,
      enter: (input) => this.#enter(input),
      end: (end) => this.end(end),
    });
    this.#reporter.received(plan.registration);
  }

  /** Takes the call on its route. */
  start(): void {
    this.#invite.onCancel = () => this.end(callEnd.callerCancel());
    try {
      this.#offer = this.#dependencies.media.accept(this.#invite.offer, this.#invite.source.address);
    } catch (error) {
      this.#endByFault(error);
      return;
    }
    if (!this.#enter('accept')) return;
    const callerLaw = this.#offer.codec === 'PCMA' ? 'alaw' : 'mulaw';
    if (this.route) this.#reporter.agents = this.#agents = this.#newAgents(this.route, callerLaw);
    this.#bridgeClosed = new Promise((resolve) => (this.#onBridgeClosed = resolve));
    this.#bridge = this.#dependencies.bridges.open((event) => this.#onBridgeEvent(event));
    this.#farewell = new Farewell(this.#bridge, this.#reporter.report);
    this.#reporter.media = this.#media = new CallerMedia(this.#bridge, (detail) => this.#onMediaLost(detail));
    // The media thread connects while this one sends 180.
    this.#connectAgent();
    if (this.#isOpen()) this.#invite.ring();
  }

  /** Ends the call, whatever it is doing. The first reason counts. */
  end(end: CallEnd): void {
    if (!this.#enter('end')) return;
    this.#maxDuration.cancel();
    void this.#closeOut(withFallback(end, this.route?.fallback));
  }

  /** Whether `dialog` is the one with the call's caller. */
  hasDialog(dialog: DialogId): boolean {
    const ours = this.#dialog.current?.id;
    return ours !== undefined && this.#isOpen() && isMeant(dialog, ours);
  }

  hasCallId(callId: string): boolean {
    return this.#reporter.hasCallId(callId);
  }

  /** Answers an INVITE that replaces the caller (RFC 3891). The agent's session goes on. */
  replaceCaller(invite: IncomingInvite): void {
    if (this.#state === 'active' && this.#media && !this.#isBeingReplaced) {
      this.#answering = this.#replaceCallerBy(invite, this.#media);
    } else {
      // A transfer, or another replacement, is under way (RFC 3261 section 21.4.27).
      invite.reject({ status: 491 });
    }
  }

  /** The configuration has changed: the agent is shown its new keys from its next connection on. */
  renewKeys(routes: readonly Route[]): void {
    if (this.#agents && this.#isOpen()) this.#bridge?.renewKeys(this.#agents.renewKeys(routes));
  }

  /** For `/calls`. */
  live(): LiveCall {
    return this.#reporter.live(this.#state);
  }

  /** True when `input` was possible and its state entered; false when it came too late. */
  #enter(input: CallInput): boolean {
    const next = nextState(this.#state, input);
    if (next === undefined) {
      this.#reporter.report({ event: 'call.input_ignored', state: this.#state, input });
      return false;
    }
    this.#state = next;
    return true;
  }

  #onBridgeEvent(event: BridgeEvent): void {
    switch (event.kind) {
      case 'opened':
        this.#rtpPort = event.rtpPort;
        break;
      case 'open-failed':
        this.end(callEnd.noMediaPort(event.detail));
        break;
      case 'agent-ready':
        this.#onAgentReady(event);
        break;
      case 'agent-ended':
        this.#onAgentEnded(event.ending);
        break;
      case 'played-out':
        this.#farewell?.onPlayedOut(event);
        break;
      case 'interrupted':
        this.#agents?.interrupted(event);
        break;
      case 'agent-reconnecting':
        this.#agents?.reconnecting(event);
        break;
      case 'agent-reconnected':
        this.#agents?.reconnected(event);
        break;
      case 'dtmf':
        this.#onDigit(event.digit, 'telephone-event', 0);
        break;
      case 'lost':
        this.end(callEnd.mediaUnavailable(event.detail));
        break;
      case 'queue-full':
        this.#reporter.report({ event: 'agent.queue_full', queuedMs: event.queuedMs });
        break;
      case 'rtp-timeout':
        // While it transfers the caller, the PBX may send no RTP; the transfer has a timeout of its own.
        if (!this.#transfer.isUnderWay) this.end(callEnd.rtpTimeout(event.silentMs));
        break;
      case 'stats':
        this.#reporter.stats = event.stats;
        this.#reporter.report({ event: 'call.stats', stats: event.stats });
        break;
      case 'closed':
        this.#reporter.stats = event.stats;
        this.#onBridgeClosed?.();
        break;
    }
  }

  /** The route's next target; when there is none left, the fallback, or the end for the reason the last one gave. */
  #connectAgent(): void {
    if (!this.#agents || !this.#isOpen()) return;
    const address = this.#agents.next();
    if (address) this.#bridge?.connectAgent(address);
    else this.#onNoAgentLeft(callEnd.agentEnded(this.#agents.lastEnding), this.route && redirectOf(this.route));
  }

  /** Plays out what the agent has said; then the caller is transferred to `uri`, or the call ends. */
  #onNoAgentLeft(end: CallEnd, uri: string | undefined): void {
    const leave = (): void => this.#transfer.transferOrEnd(uri, end);
    // Nothing is played before the answer, but the last words of an agent that ended the call while the 200 is on its way are.
    const isHeard = this.#state === 'active' || this.#state === 'transferring';
    if (isHeard || (this.#state === 'answering' && end.endedBy === 'agent')) this.#farewell?.begin(leave);
    else leave();
  }

  #newAgents(route: Route, callerLaw: AgentAddress['encoding']): CallAgents {
    const { facts, report } = this.#reporter;
    const header = (name: string): string | undefined => this.#invite.header(name);
    return new CallAgents({ ...{ route, callerLaw, facts, header, report }, dependencies: this.#dependencies });
  }

  #isOpen(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  #onAgentReady(event: Extract<BridgeEvent, { kind: 'agent-ready' }>): void {
    const unanswered = this.#state === 'connecting';
    if (!this.#enter('agent-ready')) return;
    this.#agents?.ready(event);
    if (unanswered) this.#answering = this.#answer();
  }

  /** The agent has ended the call, or is lost: then the route's next target is tried. */
  #onAgentEnded(ending: AgentEnding): void {
    if (!this.#isOpen()) return;
    if (this.#farewell?.isUnderWay) {
      this.#farewell.end();
      return;
    }
    if (ending.kind === 'agent-hangup') {
      this.#agents?.ended(ending);
      this.#onNoAgentLeft(callEnd.agentEnded(ending), this.route && referOnAgentEnd(this.route));
      return;
    }
    this.#agents?.failed(ending);
    this.#connectAgent();
  }

  #onDigit(digit: string, path: DigitPath, durationMs: number): void {
    if (!this.#isOpen() || !this.#digits.accept(digit, path, this.#dependencies.clock.nowMs(), durationMs)) return;
    // Callers type card numbers and PINs: which digit it was is reported only if the operator wants it.
    this.#reporter.report({ event: 'call.dtmf', path, ...(this.#dependencies.logDigits ? { digit } : {}) });
    const action = this.route?.dtmf?.[digit];
    if (action === undefined) this.#bridge?.sendDigit(digit);
    if (action === undefined || this.#state !== 'active') return;
    if (action === 'hangup') this.end(callEnd.dtmfHangup());
    else this.#transfer.transfer(action.refer);
  }

  async #answer(): Promise<void> {
    try {
      if (!this.#offer || !this.#media) throw new Error('answered before it was accepted');
      // The bridge listens before the caller learns where to send; it sends once the call is answered.
      const { localAddress, source } = this.#invite;
      const localSdp = await this.#media.connect(this.#offer, this.#rtpPort, localAddress, source.address);
      if (this.#state !== 'answering') return;
      this.#transfer.onAnswering();
      await this.#dialog.answer(this.#invite, localSdp);
      this.#onAnswered();
    } catch (error) {
      // A CANCEL makes the answer fail too; that end has been noted already.
      if (this.#isOpen()) this.#endByFault(error);
    }
  }

  #newDialog(): CallerDialog {
    const handlers: DialogHandlers = {
      onEnd: (end) => this.end(end.byPeer ? this.#transfer.endByCaller() : callEnd.noAck(end.reason)),
      onAck: (sdp) => {
        void this.#onAck(sdp);
      },
      onRenegotiate: (request) => this.#onRenegotiate(request),
      onDigit: ({ digit, durationMs }) => this.#onDigit(digit, 'info', durationMs),
    };
    return new CallerDialog(handlers, (dialog) => this.#dependencies.endedDialogs.add(dialog));
  }

  async #replaceCallerBy(invite: IncomingInvite, media: CallerMedia): Promise<void> {
    this.#isBeingReplaced = true;
    const isReplaced = await replaceCaller(invite, {
      engine: this.#dependencies.media,
      ...{ media, dialog: this.#dialog, rtpPort: this.#rtpPort, report: this.#reporter.report },
      isOpen: () => this.#isOpen(),
    });
    this.#isBeingReplaced = false;
    if (!isReplaced) return;
    this.#reporter.replaced(invite);
    if (this.#dialog.current) this.#transfer.onReplaced(this.#dialog.current);
  }

  #onAnswered(): void {
    this.#reporter.answered();
    if (!this.#enter('answered')) return;
    if (this.#media?.agreed) this.#bridge?.start();
    this.#maxDuration.begin();
    this.#reporter.report({ event: 'call.answered', setupMs: this.#reporter.durationMs });
    if (this.#dialog.current) this.#transfer.onAnswered(this.#dialog.current);
  }

  async #onAck(sdp: string | undefined): Promise<void> {
    if (!this.#isOpen()) return;
    this.#bridge?.confirm();
    try {
      if (await this.#media?.onAck(sdp)) this.#bridge?.start();
    } catch (error) {
      this.#endByFault(error);
    }
  }

  async #onRenegotiate(request: RenegotiationRequest): Promise<string | undefined> {
    if (!this.#media || !this.#isOpen()) throw new RenegotiationRefused(481, 'the call is over');
    const answer = await this.#media.renegotiate(request);
    const { sending } = this.#media;
    if (request.offer !== undefined) this.#reporter.report({ event: 'call.renegotiated', sending });
    return answer;
  }

  /** The agent stays on the line while the caller is moved to other media. */
  #onMediaLost(detail: string): void {
    const dialog = this.#dialog.current;
    if (!dialog || (this.#state !== 'active' && this.#state !== 'transferring')) {
      this.end(callEnd.mediaUnavailable(detail));
      return;
    }
    this.#reporter.report({ event: 'call.media_lost', detail });
    this.#media
      ?.replace((offer) => dialog.reinvite(offer))
      .then(
        () => this.#reporter.report({ event: 'call.media_replaced' }),
        (error: unknown) => {
          const why = errorText(error);
          this.end(callEnd.mediaUnavailable(`${detail}; ${why}`));
        },
      );
  }

  /** The call is over afterwards, whatever is thrown on the way. */
  async #closeOut(end: CallEnd): Promise<void> {
    try {
      await this.#release(end);
    } catch (error) {
      this.#reporter.report({ event: 'call.error', err: error });
    }
    this.#enter('released');
    this.#reporter.closed(end);
    this.#onClosed(this);
  }

  /** Lets go of everything, in the order in which the caller notices: signalling first, then the media. */
  async #release(end: CallEnd): Promise<void> {
    try {
      if (!this.#dialog.current && end.rejection) this.#invite.reject(end.rejection);
    } finally {
      this.#bridge?.close();
    }
    await this.#answering;
    await this.#dialog.bye(end.byeReason);
    if (this.#bridge) await this.#bridgeClosed;
    this.#agents?.release();
    await this.#media?.close();
  }

  #endByFault(error: unknown): void {
    const end = endOfFault(error);
    if (end.reason === 'internal_error') this.#reporter.report({ event: 'call.error', err: error });
    this.end(end);
  }
}
