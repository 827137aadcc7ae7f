/**
 * How much of anything a peer may send. A message beyond one of these is malformed, whatever else it
 * says: every length here bounds the work and the memory one message can cost, ours and that of the
 * SIP client behind us, whose own parser is quadratic in the length of a From or To.
 */
export const LIMITS = {
  /** Octets of a whole message, start line to end of body. */
  messageBytes: 65_536,
  /** The same over UDP: twice what a SIPREC client or a carrier with all its headers sends. Anything longer goes by TCP. */
  datagramBytes: 32_768,
  /** Octets of a longer one that are looked at, for the header fields its refusal needs. */
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
  /** Via entries over all Via header fields: a request that took more hops than that is looping. */
  viaHops: 100,
  /** Entries over all Contact header fields: every one is parsed. */
  contacts: 100,
  /** Entries over all Route, and over all Record-Route header fields. */
  routeHops: 100,
  /** Characters of a Call-ID: it is a key in every table of the agent. */
  callIdLength: 512,
  /** RFC 3261 section 8.1.1.5: a CSeq number is of 32 bits. Those sent have to be less than 2^31, and are not always. */
  cseqNumber: 4_294_967_295,
  /** RFC 3262 section 7.1: an RSeq number is at least 1 and below 2^31 when it is the first, and below 2^32 later on. */
  rseqNumber: 4_294_967_295,
  /** RFC 3261 section 25.1: delta-seconds. */
  deltaSeconds: 4_294_967_295,
  /** Seconds of a session interval (RFC 4028): 23 days, as far ahead as a timer of Node's reaches. */
  sessionIntervalS: 2_000_000,
  /** RFC 3261 section 20.22. */
  maxForwards: 255,
  port: 65_535,
} as const;
