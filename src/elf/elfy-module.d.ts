/** The part of the npm package elfy (plain JavaScript, no types of its own) that `elfy.ts` uses. */
declare module 'elfy' {
  interface Section {
    /** Decoded leniently: bytes that are not UTF-8 become U+FFFD. */
    readonly name: string;
    readonly off: number;
    readonly size: number;
    readonly link: number;
    readonly info: number;
  }

  interface Elf {
    readonly class: '32' | '64';
    readonly endian: 'lsb' | 'msb';
    readonly body: { readonly sections: readonly Section[] };
  }

  interface Elfy {
    parse(file: Uint8Array): Elf;
  }

  const elfy: Elfy;
  export = elfy;
}
