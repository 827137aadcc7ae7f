import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/**
 * Types for the part of drachtio-srf that is used here, as it behaves. Its own typings are wrong in places (no `Dialog.id`,
 * arity of `send`, no `reconnecting` event).
 */

export interface SrfRequest extends EventEmitter {
  readonly method: string;
  readonly uri: string;
  readonly body: string;
  /** `network`, or `application` for a request that the SIP server generated. */
  readonly source: string;
  readonly source_address: string;
  readonly source_port: number;
  readonly protocol: string;
  /** `address:port` the request came in on. */
  readonly receivedOn?: string;
  readonly socket: Socket;
  get(name: string): string | undefined;
  has(name: string): boolean;
  cancel(callback: (error: unknown) => void): void;
}

export interface SrfResponse extends EventEmitter {
  /** Of a response from the network, where it came from. */
  readonly source_address: string;
  /** Of a response from the network, the request as it went out. */
  readonly req: SrfRequest;
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  readonly finalResponseSent: boolean;
  send(status: number, options?: { headers?: Record<string, string>; body?: string | undefined }): void;
  get(name: string): string | undefined;
}

export interface SrfDialogRequest {
  readonly method: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SrfDialog extends EventEmitter {
  readonly id: string;
  /** Which side we are. */
  readonly type: 'uas' | 'uac';
  /** The INVITE that made it, and its 2xx. */
  readonly req: SrfRequest;
  readonly res: SrfResponse;
  /** Takes a request of the peer's; drachtio-srf calls it for each. */
  handle: (request: SrfRequest, response: SrfResponse) => void;
  /** `remoteTag` is undefined of a peer without a tag. */
  readonly sip: { callId: string; localTag: string; remoteTag: string | undefined };
  readonly local: { sdp: string; contact: string };
  readonly remote: { uri: string; sdp: string };
  readonly connected: boolean;
  destroy(options: { headers?: Record<string, string> }, callback: (error: unknown) => void): void;
  modify(sdp: string): Promise<string>;
  /** Calls back for each response, provisional ones included; an INVITE's final one has been acknowledged then. */
  request(options: SrfDialogRequest, callback: (error: unknown, response?: SrfResponse) => void): void;
}

interface SrfConnectOptions {
  host: string;
  port: number;
  secret: string;
  /** 1: it does not connect again by itself. */
  reconnect?: { maxAttempts: number };
}

/**
 * One connection to a server. Event `connect`: an error when the server refused it, else null and the server's addresses;
 * `error`, `close`: the connection is lost.
 */
export interface SrfClient extends EventEmitter {
  /** The socket, once it is connected, with the INVITEs that have no final response, by Call-ID. */
  readonly mapServer: ReadonlyMap<Socket, { readonly pendingNetworkInvites: ReadonlyMap<string, unknown> }>;
  /** Event `connect`: the socket is connected, nothing was sent yet. */
  readonly wp: SrfWire;
}

/** Messages to and from a server. Event `msg`: a message was received; arguments are the socket and the message. */
interface SrfWire extends EventEmitter {
  closing?: boolean;
  /** Returns the id of the message. */
  send: (socket: Socket, message: string) => string;
}

export interface SrfInstance extends EventEmitter {
  /** Not public, but the only way to tell connection attempts apart and to end one. */
  readonly _app: { readonly client?: SrfClient };
  connect(options: SrfConnectOptions): void;
  disconnect(): void;
  invite(handler: (request: SrfRequest, response: SrfResponse) => void): void;
  options(handler: (request: SrfRequest, response: SrfResponse) => void): void;
  /** A request outside any dialog. Calls back when it was sent or could not be; its responses are `response` events. */
  request(
    uri: string,
    options: { method: string; headers: Record<string, string>; proxy?: string },
    callback: (error: unknown, sent?: SrfRequest) => void,
  ): void;
  createUAS(
    request: SrfRequest,
    response: SrfResponse,
    options: { localSdp: string; headers?: Record<string, string> },
    callback: (error: unknown, dialog?: SrfDialog) => void,
  ): void;
  createUAC(
    uri: string,
    options: { localSdp: string; headers?: Record<string, string>; callingNumber?: string },
    progress: {
      cbRequest?: (error: unknown, request?: SrfRequest) => void;
      cbProvisional?: (response: SrfResponse) => void;
    },
  ): Promise<SrfDialog>;
}
