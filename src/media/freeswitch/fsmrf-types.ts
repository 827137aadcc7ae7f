import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/** The part of drachtio-fsmrf (which has no typings) that we use, as it behaves. */

/** A FreeSWITCH event socket connection of drachtio-modesl. */
export interface EslConnection extends EventEmitter {
  socket: Socket | null;
}

export interface MrfEndpoint extends EventEmitter {
  /** Channel UUID in FreeSWITCH. */
  readonly uuid: string;
  readonly local: { readonly sdp: string };
  /** `destroy`: the channel is gone, with `{reason}` when FreeSWITCH said why. */
  bridge(other: MrfEndpoint): Promise<void>;
  /** Re-INVITEs FreeSWITCH; resolves to its SDP. */
  modify(remoteSdp: string): Promise<string>;
  destroy(): Promise<void>;
}

export interface MrfMediaServer extends EventEmitter {
  readonly conn: EslConnection;
  /** Takes the event sockets that FreeSWITCH opens to us, one a channel. Not public, but the only way to them in time. */
  readonly _server: EventEmitter;
  createEndpoint(options: { remoteSdp?: string; headers?: Record<string, string> }): Promise<MrfEndpoint>;
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
