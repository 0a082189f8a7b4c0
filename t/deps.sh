#!/bin/sh
# deps.sh - install from Debian what is missing to build, test and run usetl
set -eu

need="make gcc libc6-dev binutils pkg-config linux-libc-dev
libarchive-dev libinih-dev libcurl4-openssl-dev libmicrohttpd-dev
libseccomp-dev libelf-dev libjansson-dev libssl-dev libev-dev
python3 python3-minimal libpython3-stdlib curl perl mandoc"
test "${1:-}" = bench && need="$need wrk gunicorn python3-gunicorn"

missing=
for p in $need; do
	case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || :) in
	*"ok installed") ;;
	*) missing="$missing $p" ;;
	esac
done
test -z "$missing" && exit 0
echo "installing:$missing"
if test "$(id -u)" != 0; then
	command -v sudo >/dev/null || {
		echo "deps: not root and no sudo; as root run: apt-get install$missing" >&2
		exit 1
	}
	sudo=sudo
fi
${sudo:-} apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive ${sudo:-} apt-get install -y -qq $missing >/dev/null
