#!/usr/bin/env bash
# Fetches clang 22 (Debian's sid) into .cache/clang-22, beside the system and never into it:
# the first clang that emits indirect jumps (section .jumptables). Idempotent.
#
# Start it through .cache/clang-22/run [ARG...]; it needs sid's own C library.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
dir=${TSBPF_CLANG_22_DIR:-$top/.cache/clang-22}
root=$dir/root
stamp=$dir/complete-1
[ -e "$stamp" ] && exit 0
rm -rf "$dir"
mkdir -p "$dir"/{lists/partial,cache/archives/partial,debs,root}
# The machine's own mirror, whatever it is, with another suite.
mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 2>/dev/null |
  grep -E '/debian/?$' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror sid main" >"$dir/sources.list"
options=(-o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" -qq update
(cd "$dir/debs" && apt-get "${options[@]}" -qq download clang-22 libclang-cpp22 libllvm22 libc6 \
  libgcc-s1 libstdc++6 libzstd1 zlib1g libffi8 libedit2 libtinfo6 libxml2-16 libbsd0 libmd0 \
  libz3-4)
for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
cat >"$dir/run" <<'RUN'
#!/bin/sh
# Starts clang 22 with its own C library.
root=$(dirname "$0")/root
lib=$root/usr/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib:$root/usr/lib/llvm-22/lib" \
  "$root/usr/lib/llvm-22/bin/clang" "$@"
RUN
chmod +x "$dir/run"
rm -rf "$dir/lists" "$dir/cache" "$dir/debs"
touch "$stamp"
