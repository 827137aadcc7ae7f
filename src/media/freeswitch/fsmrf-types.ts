import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/** The part of drachtio-fsmrf (which has no typings) that we use, as it behaves. */

/** A FreeSWITCH event socket connection of drachtio-modesl. */
export interface EslConnection extends EventEmitter {
  socket: Socket | null;
  /** Asks for more events; they come as `esl::event::NAME::<channel UUID>`. */
  subscribe(events: string): void;
}

export interface MrfEndpoint extends EventEmitter {
  /** Channel UUID in FreeSWITCH. */
  readonly uuid: string;
  readonly local: { readonly sdp: string };
  /** Ours with FreeSWITCH. */
  readonly dialog: { destroy(): Promise<unknown> };
  /** The event socket FreeSWITCH opened to us for this channel; null when it is closed. */
  readonly conn: EslConnection | null;
  /** `destroy`: the channel is gone, with `{reason}` when FreeSWITCH said why. */
  bridge(other: MrfEndpoint): Promise<void>;
  /** Re-INVITEs FreeSWITCH; resolves to its SDP. */
  modify(remoteSdp: string): Promise<string>;
}

export interface MrfMediaServer extends EventEmitter {
  readonly conn: EslConnection;
  /** Takes the event sockets that FreeSWITCH opens to us, one a channel. Not public, but the only way to them in time. */
  readonly _server: EventEmitter;
  createEndpoint(options: { remoteSdp: string; headers?: Record<string, string> }): Promise<MrfEndpoint>;
  api(command: string): Promise<string>;
  disconnect(): void;
}

export interface MrfConnectOptions {
  readonly address: string;
  readonly port: number;
  readonly secret: string;
  readonly listenAddress: string;
}

export type MrfConstructor = new (srf: object) => {
  connect(options: MrfConnectOptions): Promise<MrfMediaServer>;
};
