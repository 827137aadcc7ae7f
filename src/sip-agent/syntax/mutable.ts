/**
 * A type without `readonly`, for a value under construction. Values parsed for every message are filled in member by member:
 * object spread costs more than the rest of the parsing.
 */
export type Mutable<T> = { -readonly [Member in keyof T]: T[Member] };
