#!/usr/bin/env bash
# Fetches the newest bpftool, libbpf, pahole and uapi headers (Debian's sid) into
# .cache/authorities, beside the system and never into it. Idempotent.
#
# The programs need sid's own C library: start them through
#   .cache/authorities/run PROGRAM [ARG...]
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
dir=${TSBPF_AUTHORITIES_DIR:-$top/.cache/authorities}
root=$dir/root
stamp=$dir/complete-3
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
(cd "$dir/debs" && apt-get "${options[@]}" -qq download bpftool pahole libdwarves1 libdw1t64 libc6 libelf1t64 libcap2 \
  libzstd1 zlib1g libbpf-dev libbpf1 linux-libc-dev)
for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
cat >"$dir/run" <<'RUN'
#!/bin/sh
# Starts a program of this folder, or one linked against its libbpf, with its own C library.
root=$(dirname "$0")/root
lib=$root/usr/lib/x86_64-linux-gnu
program=$1
shift
[ -x "$program" ] || program=$(PATH=$root/usr/sbin:$root/usr/bin command -v "$program")
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$program" "$@"
RUN
chmod +x "$dir/run"
rm -rf "$dir/lists" "$dir/cache" "$dir/debs"
touch "$stamp"
