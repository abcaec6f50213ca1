#!/usr/bin/env bash
# Installs the Debian packages that building, running and (with --test) testing need, as far as they are missing.
# Leaves an installed PostgreSQL alone and lets a newly installed one make no default cluster.
set -euo pipefail

packages=(gcc make pkg-config openssl curl libc6-dev libjansson-dev libyaml-dev libsodium-dev libevent-dev libcurl4-openssl-dev
	libssl-dev libsqlite3-dev libpq-dev)
[ "${1:-}" != --test ] || packages+=(libcmocka-dev python3 python3-pytest python3-cryptography)

installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
server=()
[ -x "${PG_BIN:-/usr/lib/postgresql/15/bin}/postgres" ] || server=(postgresql-15)
[ -x "${PG_BIN:-/usr/lib/postgresql/15/bin}/psql" ] || server+=(postgresql-client-15)
[ ${#missing[@]} -gt 0 ] || [ ${#server[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
	as_root=()
elif sudo -n true 2>/dev/null; then
	as_root=(sudo -n)
else
	echo "packages are missing, and this user may not install them; as root type:" >&2
	echo "  apt-get install ${missing[*]} ${server[*]}" >&2
	echo "(before postgresql-15: create_main_cluster = false in /etc/postgresql-common/createcluster.conf, or it makes a cluster of its own)" >&2
	exit 1
fi
install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }

"${as_root[@]}" apt-get update -q
[ ${#missing[@]} = 0 ] || install "${missing[@]}"
if [ ${#server[@]} -gt 0 ]; then
	install postgresql-common
	own=/etc/postgresql-common/createcluster.d/pgregent-no-default-cluster.conf
	"${as_root[@]}" mkdir -p "${own%/*}"
	echo 'create_main_cluster = false' | "${as_root[@]}" tee "$own" >/dev/null
	install "${server[@]}" || { "${as_root[@]}" rm -f "$own"; exit 1; }
	"${as_root[@]}" rm -f "$own"
fi
