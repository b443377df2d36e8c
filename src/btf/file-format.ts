/** What a file is that must be unpacked before its types can be read. */
export interface PackedFormat {
  readonly format: string;
  /** A kernel image that starts a machine, with the vmlinux inside. */
  readonly kernelImage: boolean;
}

/** A format, and bytes at an offset that tell it. */
interface Magic extends PackedFormat {
  readonly at: number;
  readonly bytes: readonly number[];
}

/** Of kernel images first: some of them are also something else at their start. */
const magics: readonly Magic[] = [
  // Documentation/arch/x86/boot.rst: "HdrS".
  { format: 'x86 bzImage', kernelImage: true, at: 0x202, bytes: [0x48, 0x64, 0x72, 0x53] },
  // Documentation/arch/arm64/booting.rst: "ARM\x64"; riscv/boot-image-header.rst: "RSC\x05".
  { format: 'arm64 Image', kernelImage: true, at: 0x38, bytes: [0x41, 0x52, 0x4d, 0x64] },
  { format: 'riscv Image', kernelImage: true, at: 0x38, bytes: [0x52, 0x53, 0x43, 0x05] },
  // drivers/firmware/efi/libstub/zboot-header.S: "zimg" after the "MZ" of EFI.
  { format: 'EFI zboot image', kernelImage: true, at: 4, bytes: [0x7a, 0x69, 0x6d, 0x67] },
  { format: 'gzip', kernelImage: false, at: 0, bytes: [0x1f, 0x8b] },
  { format: 'xz', kernelImage: false, at: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0] },
  { format: 'zstd', kernelImage: false, at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { format: 'bzip2', kernelImage: false, at: 0, bytes: [0x42, 0x5a, 0x68] },
  { format: 'lz4', kernelImage: false, at: 0, bytes: [0x04, 0x22, 0x4d, 0x18] },
  { format: 'lz4', kernelImage: false, at: 0, bytes: [0x02, 0x21, 0x4c, 0x18] },
];

/** The format of a file that starts with these bytes (528 are enough), if it is a packed one. */
export function imageFormat(start: Uint8Array): PackedFormat | undefined {
  const found = magics.find(({ at, bytes }) => bytes.every((byte, i) => start[at + i] === byte));
  return found === undefined ? undefined : { format: found.format, kernelImage: found.kernelImage };
}
