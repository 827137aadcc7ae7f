import { X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/**
 * Whether a certificate is that of the SIP domain or address `name`: by a "sip:" URI among its alternative names
 * (RFC 5922 section 7.1), or as for any other server by a DNS name or an address. Wildcards count, which RFC 5922
 * section 7.2 would rather not have: carriers use them.
 * Returns what is wrong, if anything.
 */
export function identityFault(name: string, certificate: PeerCertificate): Error | undefined {
  const domain = name.toLowerCase();
  const uris = alternativeNames(certificate).filter((entry) => entry.toLowerCase() === `uri:sip:${domain}`);
  if (uris.length > 0) return undefined;
  return isIPv6(name) ? addressFault(name, certificate) : checkServerIdentity(name, certificate);
}

/** By OpenSSL: some versions of Node take an IPv6 address for a host name here (22.23). */
function addressFault(address: string, { raw, subjectaltname = '' }: PeerCertificate): Error | undefined {
  if (new X509Certificate(raw).checkIP(address.replace(/%.*$/, ''))) return undefined;
  return new Error(`Hostname/IP does not match certificate's altnames: ${address} is not in ${subjectaltname}`);
}

/**
 * `URI:sip:example.com`, `DNS:example.com` and so on. Node puts quotes around an entry that could be taken for several:
 * no SIP domain needs them, so a certificate that has any is left to Node.
 */
function alternativeNames({ subjectaltname = '' }: Partial<PeerCertificate>): string[] {
  return subjectaltname.includes('"') ? [] : subjectaltname.split(', ');
}
