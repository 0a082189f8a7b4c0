#!/bin/sh
# deps.sh [bench | check | svm] - install from Debian what is missing to build,
# test and run usetl; and what bench, check and check-svm use, which can do
# without most of it
set -eu

need="make gcc libc6-dev binutils pkg-config linux-libc-dev
libarchive-dev libinih-dev libcurl4-openssl-dev libmicrohttpd-dev
libseccomp-dev libelf-dev libjansson-dev nettle-dev libev-dev libxxhash-dev
python3 python3-minimal libpython3-stdlib curl perl mandoc"
case ${1:-} in
bench)
	need="$need wrk gunicorn python3-gunicorn"
	more="gnuplot-nox python3-pandas python3-pil crun qemu-system-x86 busybox-static
cpio e2fsprogs lz4"
	;;
check) more="gdb libpython3.11-testsuite skopeo docker-registry" ;;
svm) more="qemu-system-x86 linux-image-amd64 busybox-static cpio" ;;
esac

# what of these is not installed
absent() {
	for p; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || :) in
		*"ok installed") ;;
		*) printf ' %s' "$p" ;;
		esac
	done
}

# a network that does not answer is an error, after a while
apt() {
	DEBIAN_FRONTEND=noninteractive ${sudo:-} timeout 600 apt-get -qq \
		-o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
		-o Acquire::https::Timeout=20 "$@" >/dev/null
}

# shellcheck disable=SC2086
missing=$(absent $need) optional=$(absent ${more:-})
test -n "$missing$optional" || exit 0
echo "installing:$missing$optional"
if test "$(id -u)" != 0; then
	command -v sudo >/dev/null || {
		echo "deps: not root and no sudo; as root run: apt-get install$missing$optional" >&2
		test -z "$missing"
		exit
	}
	sudo=sudo
fi
# a package that brings a service starts it, at each boot from then on; the
# registry of the tests is one that they start themselves
service() {
	case $optional in *docker-registry*) ;; *) return ;; esac
	test ! -d /run/systemd/system ||
		${sudo:-} systemctl --quiet "$@" docker-registry || :
}

apt update || echo "deps: apt-get update failed" >&2
# shellcheck disable=SC2086
test -z "$missing" || apt install -y $missing
service --runtime mask
# shellcheck disable=SC2086
test -z "$optional" || apt install -y --no-install-recommends $optional ||
	echo "deps: not installed:$optional; what needs them will be skipped" >&2
service disable
service --runtime unmask
