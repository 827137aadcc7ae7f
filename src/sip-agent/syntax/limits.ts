/**
 * Limits on received messages. A message beyond one of them is malformed: each limit bounds the work and the memory that one
 * message costs us and the SIP client behind us, whose parser is quadratic in the length of a From or To.
 */
export const LIMITS = {
  /** Octets of a whole message, start line to end of body. */
  messageBytes: 65_536,
  /** The same over UDP: twice what a SIPREC client or a carrier with many headers sends. Longer messages use TCP. */
  datagramBytes: 32_768,
  /** Octets of an oversized message that are parsed, for the header fields its refusal needs. */
  oversizedHeadBytes: 4_096,
  /** Characters of a start line beside its Request-URI: method, version, status, reason phrase. */
  startLineLength: 1_024,
  /** Characters of a Request-URI; longer ones are answered 414. */
  requestUriLength: 1_024,
  /** Header fields in one message, counted as they stand on the wire. */
  headerCount: 200,
  /** Characters of one header field, name and unfolded value. */
  headerLength: 8_192,
  /** Characters of one name-addr: all of a From or To, one entry of a Contact or Route. */
  nameAddrLength: 1_024,
  /** Characters of one Via entry. */
  viaLength: 1_024,
  /** Via entries over all Via header fields: a request with more hops is looping. */
  viaHops: 100,
  /** Entries over all Contact header fields: every one is parsed. */
  contacts: 100,
  /** Entries over all Route, and over all Record-Route header fields. */
  routeHops: 100,
  /** Characters of a Call-ID: it is a key in every table of the agent. */
  callIdLength: 512,
  /** RFC 3261 section 8.1.1.5: a CSeq number has 32 bits. Senders have to stay below 2^31, and some do not. */
  cseqNumber: 4_294_967_295,
  /** RFC 3262 section 7.1: the first RSeq number is from 1 to below 2^31, later ones are below 2^32. */
  rseqNumber: 4_294_967_295,
  /** RFC 3261 section 25.1: delta-seconds. */
  deltaSeconds: 4_294_967_295,
  /** Seconds of a session interval (RFC 4028): 23 days, close to the longest timer of Node. */
  sessionIntervalS: 2_000_000,
  /** RFC 3261 section 20.22. */
  maxForwards: 255,
  port: 65_535,
} as const;
