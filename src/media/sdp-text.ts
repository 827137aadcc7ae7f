/** Longer than any telephone's SDP; 250 ICE candidates are 20 KB. */
const MAX_SDP_BYTES = 65_536;

/** What a line that is needed has no use for. Longer ones of other kinds are of no concern here. */
const MAX_SDP_LINE_BYTES = 1_024;

/** RFC 8866 section 5.14: a port and, where there are several streams, their number. A telephone means the first. */
const MEDIA_WITH_PORTS = /^(m=\w+ \d+)\/[1-9]\d{0,4} /;

/** The SDP cannot be used; `message` says why in one line. To the caller this is a 488. */
export class SdpError extends Error {
  override readonly name = 'SdpError';
}

/**
 * An SDP as RFC 8866 would have it written: what the field puts around it and between its words (line ends of either kind,
 * blank lines, several blanks or tabs for one) is gone, and so are the number of ports in an `m=` line and lines too long
 * to be looked at. Throws SdpError.
 */
export function tidySdp(sdp: string): string {
  if (sdp.length > MAX_SDP_BYTES) throw new SdpError(`SDP of ${sdp.length} bytes, ${MAX_SDP_BYTES} at most`);
  const lines = sdp
    .split(/\r\n|\r|\n/)
    .map(tidyLine)
    .filter((line) => line !== '');
  if (lines[0] !== 'v=0') throw new SdpError('SDP does not begin with v=0');
  return lines.map((line) => `${line}\r\n`).join('');
}

function tidyLine(line: string): string {
  if (line.length <= MAX_SDP_LINE_BYTES) {
    return line
      .trimEnd()
      .replace(/[ \t]+/g, ' ')
      .replace(MEDIA_WITH_PORTS, '$1 ');
  }
  if (/^[mc]=/.test(line)) throw new SdpError('SDP line too long');
  return '';
}
