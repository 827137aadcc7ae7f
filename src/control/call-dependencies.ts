import type { BridgePool } from '../bridge/messages.js';
import type { Clock } from '../clock.js';
import type { CustomParametersConfig } from '../config/types.js';
import type { CallEventBus } from '../events/call-event-bus.js';
import type { MediaEngine } from '../media/engine.js';
import type { EndedDialogs } from './ended-dialogs.js';
import type { TargetBreaker } from './routing/target-breaker.js';

/** What a call is made with: its surroundings, and the settings of the moment it came. */
export interface CallDependencies {
  readonly clock: Clock;
  readonly wallTime: () => Date;
  readonly events: CallEventBus;
  readonly bridges: BridgePool;
  readonly media: MediaEngine;
  readonly sipEngine: string;
  readonly maxDurationMs: number;
  readonly transferTimeoutMs: number;
  readonly logDigits: boolean;
  readonly customParameters: CustomParametersConfig;
  /** Whether Pranthora is told the bridge's own name of the call. */
  readonly sendCallId: boolean;
  readonly breaker: TargetBreaker;
  readonly endedDialogs: EndedDialogs;
  /** A number in [0, 1), for targets with weights. */
  readonly random: () => number;
}
