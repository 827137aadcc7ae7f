/**
 * The public interface of the embedded SIP agent (RFC 3261). The agent speaks SIP to the network and drachtio-server's wire
 * protocol to drachtio-srf. Its folders are its layers, from the lowest: syntax, transport, transaction and wire, dialog,
 * guard, core.
 */
export { SipAgent } from './agent.js';
export { UnknownSources } from './guard/unknown-sources.js';
export { ListenError } from './transport/listen-address.js';
export { LocalAddresses } from './transport/local-address.js';
export type { TlsCredentials, TlsOptions } from './transport/tls-sockets.js';
