/**
 * A value while it is being made. What is parsed for every message is filled in member by member: to spread it together
 * costs more than all the rest of its parsing.
 */
export type Mutable<T> = { -readonly [Member in keyof T]: T[Member] };
