import type { Clock } from '../clock.js';
import type { CallController } from '../control/controller.js';
import type { CallEvent } from '../events/call-events.js';
import { snapshotOf, type CallSnapshot } from '../records/call-snapshot.js';
import type { LogState } from './log-writer.js';
import type { Refused } from './refusals.js';
import type { RegistrationStatus } from '../signaling/registration/registration.js';

export type ComponentStatus = 'ok' | 'degraded' | 'down';

export interface Component {
  readonly status: ComponentStatus;
  readonly detail: string;
}

export interface Health {
  readonly status: ComponentStatus;
  readonly version: string;
  readonly uptimeSec: number;
  readonly calls: { readonly active: number; readonly max: number };
  readonly components: { readonly sip: Component; readonly media: Component; readonly pranthora: Component };
  /** Those of `sip.registrations`, in its order. */
  readonly registrations: readonly RegistrationStatus[];
  readonly log: LogState;
  /** Requests turned away in the last minutes. */
  readonly refused: Refused;
}

export interface HealthOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly media: () => Component;
  readonly registrations: () => readonly RegistrationStatus[];
  readonly log: () => LogState;
  readonly refused: () => Refused;
}

export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** What `/health`, `/ready` and `/calls` tell, put together from the parts that know. */
export class HealthReport {
  readonly #controller: CallController;
  readonly #clock: Clock;
  readonly #version: string;
  readonly #startedAtMs: number;
  readonly #media: () => Component;
  readonly #registrations: () => readonly RegistrationStatus[];
  readonly #log: () => LogState;
  readonly #refused: () => Refused;
  #sip: Component = { status: 'down', detail: 'starting' };
  #pranthora: Component = { status: 'ok', detail: 'no agent connected yet' };

  constructor(controller: CallController, options: HealthOptions) {
    this.#controller = controller;
    this.#media = options.media;
    this.#registrations = options.registrations;
    this.#log = options.log;
    this.#refused = options.refused;
    this.#clock = options.clock;
    this.#version = options.version;
    this.#startedAtMs = options.clock.nowMs();
  }

  onSipConnection(state: { connected: boolean; detail: string }): void {
    this.#sip = { status: state.connected ? 'ok' : 'down', detail: state.detail };
  }

  /** The last agent tried. One that fails may be one route's fault, so it never makes the whole bridge `down`. */
  onCallEvent(event: CallEvent): void {
    if (event.event === 'agent.connected') {
      const detail = `last agent connected in ${Math.round(event.connectMs + event.startMs)} ms`;
      this.#pranthora = { status: 'ok', detail };
    }
    if (event.event === 'agent.failed') this.#pranthora = { status: 'degraded', detail: event.detail };
  }

  health(): Health {
    const registrations = this.#registrations();
    const sip = withRegistrations(this.#sip, registrations);
    const components = { sip, media: this.#media(), pranthora: this.#pranthora };
    const log = this.#log();
    const worst = [...Object.values(components), log].map(({ status }) => status);
    return {
      status: worst.includes('down') ? 'down' : worst.includes('degraded') ? 'degraded' : 'ok',
      version: this.#version,
      uptimeSec: Math.floor((this.#clock.nowMs() - this.#startedAtMs) / 1000),
      calls: { active: this.#controller.active, max: this.#controller.maxConcurrent },
      components,
      registrations,
      log,
      refused: this.#refused(),
    };
  }

  /** Whether an INVITE arriving now would be taken. */
  ready(): Readiness {
    if (this.#controller.draining) return { ready: false, reason: 'draining' };
    if (this.#sip.status !== 'ok') return { ready: false, reason: `sip: ${this.#sip.detail}` };
    const media = this.#media();
    if (media.status === 'down') return { ready: false, reason: `media: ${media.detail}` };
    const { active, maxConcurrent } = this.#controller;
    if (active >= maxConcurrent) return { ready: false, reason: `full: ${active} of ${maxConcurrent} calls` };
    return { ready: true, reason: 'accepting calls' };
  }

  calls(): CallSnapshot[] {
    return this.#controller.calls().map(snapshotOf);
  }

  call(callId: string): CallSnapshot | undefined {
    const call = this.#controller.call(callId);
    return call && snapshotOf(call);
  }
}

/** A PBX or carrier we are not registered with sends no calls, while others may: that is not `down`. */
function withRegistrations(sip: Component, registrations: readonly RegistrationStatus[]): Component {
  if (registrations.length === 0 || sip.status !== 'ok') return sip;
  const bound = registrations.filter((registration) => registration.bound).length;
  const status = bound < registrations.length ? 'degraded' : 'ok';
  return { status, detail: `${sip.detail}; ${bound} of ${registrations.length} registrations` };
}
