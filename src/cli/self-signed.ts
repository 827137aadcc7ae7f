import { generate } from 'selfsigned';

/** Both in PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** As a GeneralName of RFC 5280 section 4.2.1.6. */
const IP_ADDRESS = 7;

/** Signed by itself, for an IP address, with a new key each time: nothing of it need be kept. */
export async function selfSignedCertificate(address: string): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: address }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: IP_ADDRESS, ip: address }] },
    ],
  });
  return { key, cert };
}
