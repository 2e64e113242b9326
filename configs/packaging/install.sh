#!/usr/bin/env bash
# Installs the unpacked tarball in which it lies: program, unit, manual, completions, a user, and a config
# where there is none. Run as root; again for a newer version. Starts nothing.
#
# usage: ./install.sh [--root FOLDER]     FOLDER instead of /, such as that of an image
set -euo pipefail

root=''
if [[ ${1-} == --root && -n ${2-} ]]; then
  root=$2
elif (($#)); then
  echo "usage: install.sh [--root FOLDER]" >&2
  exit 64
fi
cd "$(dirname "${BASH_SOURCE[0]}")"

# A running program cannot be written to, so the new one takes its name.
install -D -m 0755 usr/bin/sidelight "$root/usr/bin/.sidelight.new"
mv -f "$root/usr/bin/.sidelight.new" "$root/usr/bin/sidelight"
install -d "$root/usr/lib/systemd" "$root/usr/share"
cp -R --no-preserve=ownership usr/lib/systemd/. "$root/usr/lib/systemd/"
cp -R --no-preserve=ownership usr/share/. "$root/usr/share/"

if ! grep -qs '^sidelight:' "$root/etc/passwd"; then
  useradd ${root:+--root "$root"} --system --user-group --no-create-home \
    --home-dir /var/lib/sidelight --shell /sbin/nologin sidelight
fi
owner=$(awk -F: '$1 == "sidelight" { print $3 ":" $4 }' "$root/etc/passwd")
install -d -m 0700 "$root/var/lib/sidelight"
install -d -m 0750 "$root/etc/sidelight"
[[ -e $root/etc/sidelight/sidelight.toml ]] ||
  install -m 0640 etc/sidelight/sidelight.toml "$root/etc/sidelight/sidelight.toml"
chown "$owner" "$root/var/lib/sidelight"
# The config may name secrets: root writes it, the agent reads it.
chown "root:${owner#*:}" "$root/etc/sidelight" "$root/etc/sidelight/sidelight.toml"
echo "installed; next: edit /etc/sidelight/sidelight.toml, then systemctl enable --now sidelight"
