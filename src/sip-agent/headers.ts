/** Header or URI parameters by lower-case name, in order. A parameter without "=" has the value undefined. */
export type Params = Map<string, string | undefined>;

/** A name-addr or addr-spec with its header parameters (RFC 3261 section 20.10). */
export interface NameAddr {
  /** Display name without its quotes and escapes. */
  readonly display?: string;
  readonly uri: string;
  readonly params: Params;
  /** The tag parameter, when there is one. */
  readonly tag?: string;
}

/** One Via entry (RFC 3261 section 20.42). */
export interface Via {
  /** Lower case: "udp", "tcp", "tls", or whatever the peer says. */
  readonly transport: string;
  /** Host name, IPv4 address or IPv6 address without its brackets. */
  readonly host: string;
  readonly port?: number;
  readonly params: Params;
  readonly branch?: string;
  /** The sender asks for the response at its source port: "rport" is present (RFC 3581). */
  readonly rport: boolean;
}

export interface CSeq {
  /** 0 to 2^31 - 1. */
  readonly number: number;
  /** Case-sensitive. */
  readonly method: string;
}
