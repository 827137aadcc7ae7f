/** Of the wire protocol, wherever it is spoken. */
export const SECRET = 'cymru';

/** The first message: where SIP is taken, unless that is drachtio-server's business. */
export interface Listening {
  readonly sipPort: number | undefined;
}

/** Every further one: so far. */
export interface ServerReport {
  /** Of the process. */
  readonly cpuMs: number;
  readonly answered: number;
  /** Calls the server ended because no ACK came. */
  readonly unacknowledged: number;
  /** Calls up, when that can be told. */
  readonly dialogs: number | undefined;
}

export type FromServer = Listening | ServerReport;
