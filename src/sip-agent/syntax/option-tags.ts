import { splitHeaderList } from './headers.js';
import type { SipMessage } from './message.js';

/** Reliable provisional responses (RFC 3262). */
export const RELIABLE = '100rel';
/** Session timers (RFC 4028). */
export const TIMER = 'timer';

/** The header fields that list option tags (RFC 3261 section 19.2). */
export type OptionTagHeader = 'supported' | 'require' | 'unsupported';

/** The option tags a message lists in that header, in lower case. */
export function optionTags(message: SipMessage, header: OptionTagHeader): string[] {
  return message
    .getAll(header)
    .flatMap(splitHeaderList)
    .map((tag) => tag.toLowerCase());
}

export function hasOptionTag(message: SipMessage, header: OptionTagHeader, tag: string): boolean {
  return optionTags(message, header).includes(tag);
}

/** Adds an option tag to those already listed. */
export function addOptionTag(message: SipMessage, header: OptionTagHeader, tag: string): void {
  if (hasOptionTag(message, header, tag)) return;
  message.set(header, [...message.getAll(header), tag].filter((value) => value !== '').join(', '));
}

/** Removes an option tag, and the header field with the last of them. */
export function removeOptionTag(message: SipMessage, header: OptionTagHeader, tag: string): void {
  const tags = optionTags(message, header);
  if (!tags.includes(tag)) return;
  const others = tags.filter((each) => each !== tag);
  if (others.length === 0) message.remove(header);
  else message.set(header, others.join(', '));
}
