import type { BridgePool } from '../bridge/messages.js';
import type { Clock } from '../clock.js';
import type { CustomParametersConfig, Route } from '../config/types.js';
import type { CallEventBus } from '../events/call-event-bus.js';
import type { MediaEngine } from '../media/engine.js';
import type { EndedDialogs } from './ended-dialogs.js';
import type { TargetBreaker } from './routing/target-breaker.js';

/** What all calls share, from outside the control plane. */
export interface ControllerDependencies {
  readonly clock: Clock;
  readonly wallTime: () => Date;
  readonly events: CallEventBus;
  readonly bridges: BridgePool;
  readonly media: MediaEngine;
  readonly sipEngine: string;
}

/** Settings a call keeps as they were when it came. */
export interface CallSettings {
  readonly maxDurationMs: number;
  readonly transferTimeoutMs: number;
  /** Whether `call.dtmf` says which digit it was. */
  readonly logDigits: boolean;
  readonly customParameters: CustomParametersConfig;
  /** Whether Pranthora gets the bridge's own id of the call. */
  readonly sendCallId: boolean;
}

/** What a call is made with. */
export interface CallDependencies extends ControllerDependencies, CallSettings {
  readonly breaker: TargetBreaker;
  readonly endedDialogs: EndedDialogs;
  /** A number in [0, 1), for targets with weights. */
  readonly random: () => number;
}

/** What the dial plan says of an INVITE. */
export interface CallPlan {
  readonly did: string;
  /** Undefined where none takes the call. */
  readonly route: Route | undefined;
  /** Name of our registration that the INVITE came over, if it did. */
  readonly registration: string | undefined;
}
