import type { Clock } from '../clock.js';
import type { SimulatorWire } from './simulator-wire.js';
import type { StreamStart } from './telephony-wire.js';
import type { StalledMs, Violation, ViolationKind } from './uplink-audit.js';

export type SimulatorProtocol = SimulatorWire['protocol'];

export interface SimulatorSessionOptions {
  readonly id: number;
  readonly protocol: SimulatorProtocol;
  /** Who connected: an address, and what it calls itself. */
  readonly client: string;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly clock: Clock;
  /** How much of the caller's audio, and of its timing, to keep. */
  readonly recordMs: number;
  /** Of the simulator's own thread; absent: never. */
  readonly stalledMs?: StalledMs | undefined;
}

export interface SimulatorSessionEvents {
  started: [atMs: number];
  /** An utterance begins. */
  speaking: [atMs: number, durationMs: number];
  interrupted: [atMs: number];
  violation: [violation: Violation];
  /** Last of all. */
  closed: [code: number, reason: string];
}

/** Plain JSON: what became of one connection. */
export interface SimulatorSessionReport {
  readonly id: number;
  readonly protocol: SimulatorProtocol;
  readonly client: string;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly state: 'open' | 'closed';
  readonly durationMs: number;
  readonly framesReceived: number;
  readonly bytesReceived: number;
  /** Of what was recorded; null without any sound. */
  readonly levelDbfs: number | null;
  /** Between two of the recorded messages; null with less than two. */
  readonly longestGapMs: number | null;
  readonly bytesSent: number;
  readonly interruptions: number;
  readonly marks: { readonly sent: number; readonly echoed: number };
  /** What the client's `start` event said. */
  readonly start?: StreamStart;
  readonly violations: Readonly<Partial<Record<ViolationKind, number>>>;
  readonly closeCode?: number;
  readonly closeReason?: string;
  /** True when the simulator ended it. */
  readonly closedByServer: boolean;
}
