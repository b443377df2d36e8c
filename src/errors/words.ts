/** One sentence for each code of a detail union; the type makes the table complete. */
export type Words<D extends { readonly code: string }> = {
  readonly [C in D['code']]: (detail: Extract<D, { readonly code: C }>) => string;
};
