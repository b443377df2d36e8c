#!/usr/bin/env bash
# Fetches the kernels that are compared with (6.1 and 6.12 from the machine's own suites,
# the newest from sid), unpacks them into .cache/kernels and takes out the BTF of each.
# Nothing is installed. Idempotent. Layout:
#   .cache/kernels/<version>/{vmlinuz,vmlinux.btf}
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
dir=$top/.cache/kernels
stamp=$dir/complete-1
[ -e "$stamp" ] && exit 0
mkdir -p "$dir/sid"/{lists/partial,cache/archives/partial}
mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 2>/dev/null |
  grep -E '/debian/?$' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror sid main" >"$dir/sid/sources.list"
sid=(-o "Dir::Etc::SourceList=$dir/sid/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$dir/sid/lists" -o "Dir::Cache=$dir/sid/cache" -o APT::Sandbox::User=root)
apt-get "${sid[@]}" -qq update

# newest PATTERN [apt options]: the highest version of the packages whose name matches
newest() {
  local pattern=$1
  shift
  apt-cache "$@" pkgnames | grep -E "$pattern" | sort -V | tail -n 1
}

# fetch VERSION PACKAGE [apt options]
fetch() {
  local version=$1 package=$2
  shift 2
  local to=$dir/$version
  rm -rf "$to" && mkdir -p "$to/deb"
  (cd "$to/deb" && apt-get "$@" -o APT::Sandbox::User=root -qq download "$package")
  dpkg-deb --fsys-tarfile "$to"/deb/*.deb | tar -x -C "$to/deb" --wildcards './boot/vmlinuz*' './usr/lib/*vmlinuz*' 2>/dev/null || true
  find "$to/deb" -name 'vmlinuz*' -type f -exec mv {} "$to/vmlinuz" \;
  [ -s "$to/vmlinuz" ] || { echo "no kernel image in $package" >&2; exit 1; }
  rm -rf "$to/deb"
  python3 "$top/scripts/extract-btf.py" "$to/vmlinuz" "$to/vmlinux.btf"
}

fetch 6.1 "$(newest '^linux-image-6\.1\.[0-9-]+-cloud-amd64-unsigned$')"
fetch 6.12 "$(newest '^linux-image-6\.12\.[0-9+deb-]+.*cloud-amd64-unsigned$')"
fetch 7.2 "$(newest '^linux-(binary|image)-unsigned-7\.2\..*cloud-amd64$' "${sid[@]}")" "${sid[@]}"
rm -rf "$dir/sid"
touch "$stamp"
