declare const brand: unique symbol;

/** A number or string that may be made only where its meaning was proved. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
