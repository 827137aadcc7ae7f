import { splitUri } from '../addresses/number.js';
import type { NumberPlace, Route } from '../config/types.js';
import type { RegistrationArrival } from '../signaling/registration/registrations.js';
import type { CapabilityQuery, IncomingInvite, SipRejection } from '../signaling/sip-endpoint.js';
import { Call } from './call.js';
import type { CallSettings, ControllerDependencies } from './call-dependencies.js';
import { calledNumber } from './routing/called-number.js';
import { callEnd, type CallEnd } from './call-end.js';
import { isUnreachable } from './routing/call-targets.js';
import { selectRoute } from './routing/dial-plan.js';
import type { LiveCall } from './live-call.js';
import { EndedDialogs } from './ended-dialogs.js';
import { callToReplace } from './replacing.js';
import { TargetBreaker } from './routing/target-breaker.js';

/** What may change while the daemon runs. */
export interface ControllerSettings extends CallSettings {
  readonly routes: readonly Route[];
  readonly maxConcurrent: number;
  /** Whether calls from a source address are taken (`sip.allow`). */
  readonly allow: (address: string) => boolean;
  /** Where the number called stands in what comes from an address (`sip.didFrom`). */
  readonly didPlaces: (address: string) => readonly NumberPlace[];
  /** Calls one source address may have in progress (`sip.maxCallsPerSource`). Absent: as many as there is room for. */
  readonly maxCallsPerSource?: number | undefined;
}

/** Routes each INVITE, or refuses it, and owns the calls in progress. */
export class CallController {
  readonly #dependencies: ControllerDependencies;
  /** Each with the address it came from. */
  readonly #calls = new Map<Call, string>();
  readonly #breaker = new TargetBreaker();
  readonly #endedDialogs: EndedDialogs;
  #settings: ControllerSettings;
  #draining = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(settings: ControllerSettings, dependencies: ControllerDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#endedDialogs = new EndedDialogs(dependencies.clock);
  }

  get active(): number {
    return this.#calls.size;
  }

  get maxConcurrent(): number {
    return this.#settings.maxConcurrent;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** New settings for the calls to come; those in progress keep theirs, but for the API keys. */
  configure(settings: ControllerSettings): void {
    this.#settings = settings;
    for (const call of this.#calls.keys()) call.renewKeys(settings.routes);
  }

  /** `arrival`: it came over a registration of ours, so its sender is known and its Request-URI is our own Contact. */
  onInvite(invite: IncomingInvite, arrival?: RegistrationArrival): void {
    const isKnown = arrival !== undefined || this.#settings.allow(invite.source.address);
    const header = isKnown ? invite.header('Replaces') : undefined;
    const replaces = header === undefined ? {} : this.#callToReplace(invite, header);
    // The number of calls stays the same: neither a limit nor draining keeps a caller from being replaced.
    if (replaces.call && !invite.bodyRefusal) replaces.call.replaceCaller(invite);
    else this.#receive(invite, arrival, isKnown ? replaces.refusal : callEnd.forbidden(invite.source.address));
  }

  #callToReplace(invite: IncomingInvite, header: string): { readonly call?: Call; readonly refusal?: CallEnd } {
    return callToReplace(invite, header, { calls: this.#calls.keys(), ended: this.#endedDialogs });
  }

  #receive(invite: IncomingInvite, arrival: RegistrationArrival | undefined, refusal: CallEnd | undefined): void {
    const number = this.#numberCalled(invite, arrival);
    const { route } = selectRoute(this.#settings.routes, {
      number,
      fromUri: invite.from.uri,
      header: (name) => invite.header(name),
    });
    const dependencies = {
      ...{ ...this.#dependencies, ...this.#settings },
      ...{ breaker: this.#breaker, endedDialogs: this.#endedDialogs, random: Math.random },
    };
    const plan = { did: number, route, registration: arrival?.registration };
    const call = new Call(invite, plan, dependencies, (closed) => this.#onClosed(closed));
    const { address } = invite.source;
    const end = refusal ?? this.#refusalFor(number, route, address) ?? refusalOfBody(invite);
    this.#calls.set(call, address);
    if (end) call.end(end);
    else call.start();
  }

  /**
   * How an INVITE with the addresses of this OPTIONS would be refused (RFC 3261 section 11.2); undefined if it would be taken.
   * Monitors send it to the bridge's address, without a user or with a name of their own: only a number has to have a route.
   */
  refusalOf(query: CapabilityQuery): SipRejection | undefined {
    const number = numberAsked(query, this.#settings.didPlaces(query.source.address));
    const about = { number: number ?? '', fromUri: query.from.uri, header: (name: string) => query.header(name) };
    const { route } = selectRoute(this.#settings.routes, about);
    const routes = route ? [route] : this.#settings.routes;
    if (number === undefined) return (this.#refusalOfAll() ?? this.#refusalIfUnreachable(routes))?.rejection;
    return (this.#refusalOfAll() ?? this.#refusalOnRoute(number, route) ?? this.#refusalIfUnreachable(routes))
      ?.rejection;
  }

  calls(): LiveCall[] {
    return [...this.#calls.keys()].map((call) => call.live());
  }

  call(callId: string): LiveCall | undefined {
    for (const call of this.#calls.keys()) if (call.hasCallId(callId)) return call.live();
    return undefined;
  }

  /** Takes no more calls. Resolves when the last one in progress has ended. */
  drain(): Promise<void> {
    this.#draining = true;
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
      this.#resolveIfIdle();
    });
  }

  /** Ends every call in progress. */
  endAll(): void {
    for (const call of this.#calls.keys()) call.end(callEnd.shutdown());
  }

  #numberCalled(invite: IncomingInvite, arrival: RegistrationArrival | undefined): string {
    const addressed = {
      requestUri: arrival?.dialled ?? invite.requestUri.uri,
      to: invite.to.uri,
      header: (name: string) => invite.header(name),
    };
    return calledNumber(addressed, this.#settings.didPlaces(invite.source.address)).number;
  }

  #refusalFor(number: string, route: Route | undefined, source: string): CallEnd | undefined {
    const { maxCallsPerSource } = this.#settings;
    if (this.#draining) return callEnd.draining();
    if (!route) return callEnd.noRoute(number);
    if (maxCallsPerSource !== undefined && this.#countFrom(source) >= maxCallsPerSource) {
      return callEnd.sourceAtCapacity(source, maxCallsPerSource);
    }
    return this.#refusalOfAll() ?? this.#refusalOnRoute(number, route);
  }

  /** The refusal while no call is taken, whatever its route. */
  #refusalOfAll(): CallEnd | undefined {
    if (this.#draining) return callEnd.draining();
    const { maxConcurrent } = this.#settings;
    if (this.#calls.size < maxConcurrent) return undefined;
    return callEnd.atCapacity(`call.maxConcurrent (${maxConcurrent}) reached`);
  }

  #refusalOnRoute(number: string, route: Route | undefined): CallEnd | undefined {
    if (!route) return callEnd.noRoute(number);
    if (route.maxConcurrent === undefined || this.#countOn(route) < route.maxConcurrent) return undefined;
    return callEnd.atCapacity(`maxConcurrent (${route.maxConcurrent}) of route ${route.name} reached`);
  }

  /** The refusal when no target of these routes could be reached lately. */
  #refusalIfUnreachable(routes: readonly Route[]): CallEnd | undefined {
    const nowMs = this.#dependencies.clock.nowMs();
    if (!routes.every((route) => !route.fallback && isUnreachable(route, this.#breaker, nowMs))) return undefined;
    return callEnd.agentEnded({ kind: 'unreachable', detail: 'no agent can be reached' });
  }

  #countFrom(source: string): number {
    let count = 0;
    for (const each of this.#calls.values()) if (each === source) count += 1;
    return count;
  }

  #countOn(route: Route): number {
    let count = 0;
    for (const call of this.#calls.keys()) if (call.route?.name === route.name) count += 1;
    return count;
  }

  #onClosed(call: Call): void {
    this.#calls.delete(call);
    this.#resolveIfIdle();
  }

  #resolveIfIdle(): void {
    if (this.#calls.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

function refusalOfBody({ bodyRefusal }: IncomingInvite): CallEnd | undefined {
  return bodyRefusal && callEnd.notAcceptable(bodyRefusal.warning ?? 'body not supported', bodyRefusal);
}

/** The number an OPTIONS asks for; undefined when its Request-URI has no user, or a name for one. */
function numberAsked(query: CapabilityQuery, places: readonly NumberPlace[]): string | undefined {
  const { uri } = query.requestUri;
  const addressed = { requestUri: uri, to: query.to.uri, header: (name: string) => query.header(name) };
  const { number, place } = calledNumber(addressed, places);
  const { user, host } = splitUri(uri);
  const isHostAlone = place === 'requestUri' && user === '' && !/^\+?\d+$/.test(host);
  return isHostAlone || !/^\+?\d[\d*#]*$/.test(number) ? undefined : number;
}
