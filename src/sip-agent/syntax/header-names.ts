/** A header field's name in lower case, compact form expanded: "via", "call-id". */
export type HeaderName = string;

/** RFC 3261 section 7.3.3 and the IANA registry of compact forms. */
const COMPACT_FORMS: Readonly<Record<string, HeaderName>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
};

/** Names whose usual spelling does not capitalise every word. */
const IRREGULAR_SPELLINGS = [
  'Call-ID',
  'CSeq',
  'RAck',
  'RSeq',
  'Min-SE',
  'MIME-Version',
  'WWW-Authenticate',
  'SIP-ETag',
];

/** Names in nearly every message: parsing and writing them builds no new string. */
const COMMON_SPELLINGS = [
  ...IRREGULAR_SPELLINGS,
  ...['Via', 'From', 'To', 'Contact', 'Max-Forwards', 'Route', 'Record-Route', 'Content-Type', 'Content-Length'],
  ...['Allow', 'Supported', 'Require', 'User-Agent', 'Server', 'Accept', 'Expires', 'Session-Expires', 'Reason'],
  ...['P-Asserted-Identity', 'Privacy', 'Date', 'Subject', 'Allow-Events', 'Authorization', 'Proxy-Authorization'],
];

const canonicalBySpelling = new Map<string, HeaderName>();
const spellingByCanonical = new Map<HeaderName, string>();
for (const [compact, name] of Object.entries(COMPACT_FORMS)) {
  canonicalBySpelling.set(compact, name);
  canonicalBySpelling.set(compact.toUpperCase(), name);
}
for (const spelling of COMMON_SPELLINGS) {
  const name = spelling.toLowerCase();
  canonicalBySpelling.set(spelling, name);
  canonicalBySpelling.set(name, name);
  spellingByCanonical.set(name, spelling);
}

/** The canonical form of any header name. */
export function canonicalHeaderName(spelling: string): HeaderName {
  const known = canonicalBySpelling.get(spelling);
  if (known !== undefined) return known;
  const lower = spelling.toLowerCase();
  return canonicalBySpelling.get(lower) ?? lower;
}

/** The spelling used on the wire: "call-id" → "Call-ID", "x-trunk" → "X-Trunk". */
export function spellHeaderName(name: HeaderName): string {
  return spellingByCanonical.get(name) ?? name.split('-').map(capitalise).join('-');
}

function capitalise(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
