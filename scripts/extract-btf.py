#!/usr/bin/env python3
"""Takes the BTF out of a compressed kernel image (bzImage): extract-btf.py VMLINUZ OUT

The payload is found by the magic numbers of the compressors; unpacking is xz's, zstd's,
lz4's or gzip's own. In the ELF image that comes out, section .BTF is looked up by name.
"""
import struct
import subprocess
import sys

COMPRESSORS = [
    (b"\xfd7zXZ\x00", ["xz", "-dc", "--single-stream"]),
    (b"\x28\xb5\x2f\xfd", ["zstd", "-dcq"]),
    (b"\x1f\x8b\x08", ["gzip", "-dc"]),
    (b"\x02\x21\x4c\x18", ["lz4", "-dcq"]),
]


def payloads(image):
    for magic, command in COMPRESSORS:
        at = image.find(magic)
        while at >= 0:
            run = subprocess.run(command, input=image[at:], capture_output=True, check=False)
            if run.stdout.startswith(b"\x7fELF"):
                yield run.stdout
            at = image.find(magic, at + 1)


def btf_of(elf):
    (offset,) = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", elf, offset + i * size) for i in range(count)]
    strings = headers[names][4]
    for name, _, _, _, start, length, *_ in headers:
        end = elf.index(b"\0", strings + name)
        if elf[strings + name : end] == b".BTF":
            return elf[start : start + length]
    return None


def main():
    with open(sys.argv[1], "rb") as file:
        image = file.read()
    for elf in payloads(image):
        btf = btf_of(elf)
        if btf:
            with open(sys.argv[2], "wb") as out:
                out.write(btf)
            return
    sys.exit(f"{sys.argv[1]}: no ELF image with .BTF inside")


main()
