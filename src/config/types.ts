import type { AgentTarget } from '../pranthora/agent-target.js';

/** What the daemon runs on: complete, checked, deeply frozen. `loadConfig` is its only maker. */
export interface BridgeConfig {
  readonly pranthora: PranthoraConfig;
  readonly sip: SipConfig;
  readonly media: MediaConfig;
  readonly call: CallConfig;
  readonly http: { readonly host: string; readonly port: number };
  readonly log: LogConfig;
  /** How long calls in progress may go on after SIGTERM or SIGINT. */
  readonly drainMs: number;
  /** In the order of the file. `control/routing/dial-plan.ts` decides which one a call takes. */
  readonly routes: readonly Route[];
}

export interface LogConfig {
  readonly level: LogLevel;
  readonly pretty: boolean;
  readonly redactNumbers: boolean;
  /** Whether `call.dtmf` says which digit it was. */
  readonly dtmfDigits: boolean;
}

export interface PranthoraConfig {
  /** `ws:` or `wss:`, without query, fragment, credentials or trailing slash. */
  readonly url: string;
  /** Absent when every target has a key of its own. A call uses its target's `apiKeys`, never this one. */
  readonly apiKey?: string;
  readonly connectTimeoutMs: number;
  readonly startTimeoutMs: number;
  /** Hosts besides the URL's own that a handshake may lead to, `host` or `host:port`. */
  readonly allowHosts?: readonly string[];
  readonly tls?: TlsConfig;
  /** `http:` or `https:`, maybe with credentials: a secret. */
  readonly proxy?: string;
  /** Hosts reached without the proxy, as in the `NO_PROXY` variable. */
  readonly noProxy?: readonly string[];
  readonly customParameters: CustomParametersConfig;
  /** Whether Pranthora is told the call's UUID (`x-pranthora-callid`). */
  readonly sendCallId: boolean;
  readonly reconnect: {
    readonly maxAttempts: number;
    readonly initialDelayMs: number;
    readonly maxDelayMs: number;
    readonly keepMs: number;
  };
}

/** What the telephony protocol's `start` tells the agent of a call: each can be switched off; SIP headers by name. */
export interface CustomParametersConfig {
  readonly from: boolean;
  readonly fromName: boolean;
  readonly assertedIdentity: boolean;
  readonly to: boolean;
  readonly did: boolean;
  readonly sipCallId: boolean;
  readonly headers?: readonly string[];
}

export interface TlsConfig {
  /** A file of PEM certificates trusted beside the well-known authorities', and its content. */
  readonly ca?: string;
  readonly caPem?: string;
  /** Base64 SHA-256 of the public keys (SubjectPublicKeyInfo) the server's certificate may have. */
  readonly pinnedSha256?: readonly string[];
  /** The name asked for and found in the certificate, instead of the URL's host. */
  readonly servername?: string;
}

export interface SipConfig {
  readonly engine: 'embedded' | 'drachtio';
  /** `udp://`, `tcp://` or `tls://`, an IP address (IPv6 in brackets) and a port; see `parseListen`. */
  readonly listen: readonly string[];
  /** Present where `listen` has `tls://`. */
  readonly tls?: SipTlsConfig;
  readonly advertise?: Advertise;
  /** IP addresses and CIDR ranges calls are accepted from; see `cidrMatcher`. */
  readonly allow: readonly string[];
  readonly didFrom: DidFrom;
  /** Names in a User-Agent whose requests are refused; see `scannerMatcher`. */
  readonly scanners: readonly string[];
  /** Calls one source address may have in progress. Absent: as many as there is room for. */
  readonly maxCallsPerSource?: number | undefined;
  /** What one source may send outside its calls; for the embedded engine. */
  readonly maxRequestsPerSec: number;
  /** RFC 4028, of the embedded engine; drachtio-server has settings of its own. */
  readonly sessionTimer: SessionTimerConfig;
  readonly registrations: readonly RegistrationConfig[];
  /** Undefined when nobody has to prove who they are. */
  readonly auth: SipAuthConfig | undefined;
  readonly drachtio: ServerAddress;
}

export interface SessionTimerConfig {
  /** The shortest interval to agree to. */
  readonly minSec: number;
  /** The interval to ask for where the peer asks for none. Absent: none. */
  readonly expiresSec?: number;
}

/** The files, and what is in them: PEM, checked. */
export interface SipTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** The only authorities believed; without it, the well-known ones, and for servers only. */
  readonly caFile?: string;
  readonly requestClientCertificate: 'never' | 'optional' | 'required';
  readonly certPem: string;
  readonly keyPem: string;
  readonly caPem?: string;
}

/** The bridge as an extension of a PBX, or as a carrier's customer. */
export interface RegistrationConfig {
  /** As given, or derived (`1001@pbx.example.com`). No two share one. */
  readonly name: string;
  /** A `sip:` URI without a user. */
  readonly registrar: string;
  readonly user: string;
  /** The user of the credentials: its own, else `user`. */
  readonly authUser: string;
  /** Resolved: as given, or from a file or the environment. */
  readonly password: string;
  /** User part of the Contact; without it one that nobody can guess. */
  readonly contactUser?: string;
  readonly expiresSec: number;
  /** The next hop, a `sip:` URI without a user. */
  readonly proxy?: string;
}

/** Digest authentication of callers. */
export interface SipAuthConfig {
  readonly realm: string;
  /** As they are offered, the preferred one first. */
  readonly algorithms: readonly ('MD5' | 'SHA-256')[];
  /** Never empty, no user twice. */
  readonly users: readonly SipAuthUser[];
}

export type SipAuthUser = { readonly user: string } & ({ readonly password: string } | { readonly ha1: string });

export interface MediaConfig {
  readonly engine: 'embedded' | 'freeswitch';
  readonly bind: string;
  readonly advertise?: Advertise;
  /** Both ends included. */
  readonly ports: PortRange;
  /** In order of preference. FreeSWITCH speaks its own wideband codecs: of these it takes G.711 alone. */
  readonly codecs: readonly Codec[];
  /** Whose order decides which of them is spoken: that of the caller's offer, or ours. */
  readonly codecOrder: 'offer' | 'ours';
  /** Worker threads for the audio; 0 keeps it on the main thread. */
  readonly workers: 'auto' | number;
  readonly reorderMs: number;
  /** The most the agent's speech is delayed to bridge the gaps in its arrival. */
  readonly cushionMs: number;
  /** What the agent hears of a key pressed. */
  readonly dtmf: 'none' | 'inband' | 'event';
  /** What the agent hears of a caller that has put it on hold. */
  readonly holdToAgent: 'silence' | 'audio';
  readonly freeswitch: readonly ServerAddress[];
}

/** Where an INVITE says which number is called. */
export type NumberPlace = 'requestUri' | 'to' | 'pCalledPartyId' | 'diversion' | 'historyInfo';

/** Where the number called stands, the first that is there: for all, or by where the call comes from; see `placesFor`. */
export type DidFrom = readonly NumberPlace[] | readonly DidFromRule[];

export interface DidFromRule {
  /** IP addresses and CIDR ranges; absent for everybody. */
  readonly peers?: readonly string[];
  readonly from: readonly NumberPlace[];
}

/** The address others are told to reach us at: one for all, or by where they are; see `advertisedTo`. */
export type Advertise = string | readonly AdvertiseRule[];

export interface AdvertiseRule {
  /** IP addresses and CIDR ranges; absent for everybody. */
  readonly peers?: readonly string[];
  readonly address: string;
}

export interface CallConfig {
  readonly maxConcurrent: number;
  readonly maxDurationMs: number;
  readonly rtpTimeoutMs: number;
  /** The longest an agent's last words may play. */
  readonly farewellMs: number;
  /** How long an agent without a start message must not have refused the call before it is answered. */
  readonly settleMs: number;
  /** From a REFER to its outcome. */
  readonly transferTimeoutMs: number;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

export type Codec = 'G722' | 'PCMU' | 'PCMA' | 'L16';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Which calls go to which agent. */
export interface Route {
  /** As given, or derived from the matcher (`did:+15551234`). No two routes share one. */
  readonly name: string;
  readonly match: RouteMatch;
  /** The caller must be one of these: `+1555…`, `alice`, `alice@pbx.example`, `+1555*`, `*@pbx.example`. */
  readonly from?: readonly string[];
  readonly header?: HeaderMatch;
  /** Tried in order; never empty. */
  readonly targets: readonly Target[];
  readonly maxConcurrent?: number;
  readonly fallback?: Fallback;
  readonly onAgentEnd: CallAction;
  /** What a caller's digit does, by digit: `0` to `9`, `*`, `#`, `A` to `D`. */
  readonly dtmf?: Readonly<Record<string, CallAction>>;
}

/** `did` and `prefix` are normalised numbers; `pattern` is the source of a regular expression. */
export type RouteMatch =
  { readonly did: string } | { readonly prefix: string } | { readonly pattern: string } | { readonly default: true };

/** Exactly one of `value` (the whole header value) and `pattern` (the source of a regular expression). */
export interface HeaderMatch {
  readonly name: string;
  readonly value?: string;
  readonly pattern?: string;
}

/** What a target has is its own, else its route's, else Pranthora's. */
export type Target = AgentTarget & {
  /** With one on any of them, a route's targets are tried in an order drawn for each call, not as written. */
  readonly weight?: number;
  readonly mode: RouteMode;
  /** Of the telephony protocol, so for the modes telephony and handshake. */
  readonly encoding: TargetEncoding;
  readonly url: string;
  /** One, or while it is being replaced two: the second is for when the first is refused. Empty without keys. */
  readonly apiKeys: readonly string[];
};

/** A G.711 law, or `auto`: the caller's own. */
export type TargetEncoding = 'mulaw' | 'alaw' | 'auto';

export type RouteMode = 'websocket' | 'handshake' | 'telephony';

/**
 * Where a call goes that no target would take: a SIP URI (302 before the answer, REFER after it), or a final status of
 * 400 to 699.
 */
export type Fallback = { readonly redirect: string } | { readonly reject: number };

/** `refer`: the SIP URI the caller is transferred to. */
export type CallAction = 'hangup' | { readonly refer: string };

/** Who decided a value, from the weakest to the strongest. */
export type Source = 'default' | 'file' | 'environment' | 'command line';
