#!/bin/sh
# what is wrong is said in one line that says what to do, by every command
# that can meet it; and nothing else comes of it
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end echo hostile

# one NAME STATUS PATTERN COMMAND...: that status, and one line like that
one() {
	one=$1 status=$2 pattern=$3
	shift 3
	fails "$one" "$status" "$@"
	like "$one: what is said" "$tmp/err" "$pattern"
	# what a slow machine has bake say meanwhile is no error
	is "$one: in one line" "$(grep -vc ' s so far, ' "$tmp/err")" 1
	is "$one: nothing on standard output" "$(cat "$tmp/out")" ""
}

# images, by each command that reads one
size=$(wc -c <"$tmp/echo.usetl")
head -c $((size / 2)) "$tmp/echo.usetl" >"$tmp/short.usetl"
cp "$tmp/echo.usetl" "$tmp/altered.usetl"
printf '\377' | dd of="$tmp/altered.usetl" bs=1 conv=notrunc \
	seek=$((size / 2)) 2>/dev/null
cmp -s "$tmp/echo.usetl" "$tmp/altered.usetl" && printf '\376' |
	dd of="$tmp/altered.usetl" bs=1 conv=notrunc seek=$((size / 2)) \
	2>/dev/null
"$python" - "$tmp/echo.usetl" "$tmp/newer.usetl" <<'END'
import sys
data = open(sys.argv[1], "rb").read()
assert data.count(b'"version": 2,', 0, 65536) == 1
open(sys.argv[2], "wb").write(data.replace(b'"version": 2,',
                                           b'"version": 3,', 1))
END
head -c 20000 /dev/urandom >"$tmp/noise.usetl"
for what in short:truncated altered:altered noise:'not a usetl image' \
	newer:'made by a newer usetl' absent:'No such file'
do
	image=$tmp/${what%%:*}.usetl pattern="${what%%:*}\.usetl.*${what#*:}"
	one "inspect ${what%%:*}" 1 "$pattern" "$usetl" inspect --verify "$image"
	one "invoke ${what%%:*}" 1 "$pattern" "$usetl" invoke "$image"
	one "serve ${what%%:*}" 1 "$pattern" "$usetl" serve -l 127.0.0.1:0 \
		"$image"
done

# command lines
one "an event that is not JSON" 2 \
	'not JSON: line 1, column 2: the end comes too early' \
	"$usetl" invoke -d '[' "$tmp/echo.usetl"
one "a time that is none" 2 "'soon' is not a time" "$usetl" invoke -t soon \
	"$tmp/echo.usetl"
for listen in 127.0.0.1:99999 127.0.0.1:http 127.0.0.1 80 127.0.0.1:-1 \
	127.0.0.1: ::1:80
do
	one "serve -l $listen" 2 "'$listen' is not ADDR:PORT" \
		timeout 20 "$usetl" serve -l "$listen" "$tmp/echo.usetl"
	printf '[serve]\nlisten = %s\n' "$listen" >"$tmp/listen.conf"
	one "listen = $listen" 1 "'$listen' is not ADDR:PORT" \
		timeout 20 "$usetl" serve -c "$tmp/listen.conf" \
		"$tmp/echo.usetl"
done
one "an unknown command" 2 "unknown command 'bkae'" "$usetl" bkae
ok "usetl help bake" "$usetl" help bake
like "usetl help bake: its usage" "$tmp/out" '^usage: usetl bake '

# no /dev/kvm, and one that is not ours to use: each command says what to do.
# The process tender needs neither, so KVM is asked for; in a mount namespace
# or as nobody, so only root can try.
# barred NAME MEANS COMMAND...: COMMAND runs what follows it without KVM
barred() {
	barred=$1 means=$2
	shift 2
	set -- "$@" env USETL_TENDER=kvm
	"$@" "$usetl" check >"$tmp/out" 2>&1
	if grep -Eq '^ok +/dev/kvm' "$tmp/out"; then
		skip "$barred" "everybody may use /dev/kvm here"
		return
	fi
	like "$barred: check" "$tmp/out" "^(FAIL|warn) .*/dev/kvm.*$means"
	one "$barred: invoke" 1 "/dev/kvm.*$means" \
		"$@" "$usetl" invoke "$tmp/echo.usetl"
	one "$barred: serve" 1 "/dev/kvm.*$means" \
		"$@" "$usetl" serve -l 127.0.0.1:0 "$tmp/echo.usetl"
	one "$barred: bake" 1 "/dev/kvm.*$means.*--no-check" \
		"$@" "$usetl" bake -o "$tmp/open/x.usetl" "$tmp/src/echo"
	ok "$barred: bake --no-check" "$@" "$usetl" bake --no-check \
		-o "$tmp/open/x.usetl" "$tmp/src/echo"
}
mkdir -m 777 "$tmp/open"
chmod 755 "$tmp"
cat >"$tmp/no-kvm" <<'END'
#!/bin/sh
# with a /dev that has no kvm
exec unshare -m sh -c 'mount --make-rprivate / && mount -t tmpfs none /dev &&
	mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 &&
	exec "$@"' sh "$@"
END
chmod 755 "$tmp/no-kvm"
if test "$(id -u)" = 0 && "$tmp/no-kvm" test -c /dev/null 2>/dev/null; then
	barred "no /dev/kvm" 'load' "$tmp/no-kvm"
else
	skip "no /dev/kvm" "not root, or no mount namespaces"
fi
# of a mode and group, for nobody: what would help is not the same
cat >"$tmp/kvm-of" <<'END'
#!/bin/sh
# kvm-of MODE GROUP COMMAND...: as nobody, with a /dev/kvm of those
mkdir -p "$(dirname "$0")/dev"
exec unshare -m sh -c 'mount --make-rprivate / &&
	mount -t tmpfs -o mode=755 none "$0" &&
	mknod -m "$1" "$0/kvm" c 10 232 && chgrp "$2" "$0/kvm" &&
	mount --bind "$0/kvm" /dev/kvm && shift 2 &&
	exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' \
	"$(dirname "$0")/dev" "$@"
END
chmod 755 "$tmp/kvm-of"
if test -e /dev/kvm && test "$(id -u)" = 0 &&
	"$tmp/kvm-of" 600 0 test -r "$tmp/echo.usetl" -a -x "$usetl" 2>/dev/null
then
	join='sudo usermod -aG'
	barred "/dev/kvm of group daemon" "its group: $join daemon" \
		"$tmp/kvm-of" 660 daemon
	for as in '600 0' '660 0' '600 daemon' '660 54321'; do
		# shellcheck disable=SC2086
		barred "/dev/kvm of mode and group $as" \
			"mode 0?${as%% *}.* chgrp kvm .* chmod 660 .*$join" \
			"$tmp/kvm-of" $as
	done
else
	skip "/dev/kvm of other modes" \
		"no /dev/kvm, not root, or the tree is not open to nobody"
fi
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
# shellcheck disable=SC2086
if test ! -e /dev/kvm; then
	skip "no permission" "no /dev/kvm here"
elif test "$(id -u)" = 0 && $nobody test -r "$tmp/echo.usetl" -a \
	-x "$usetl" 2>/dev/null
then
	barred "no permission" 'usermod -aG' $nobody
else
	skip "no permission" "not root, or the tree is not open to nobody"
fi

# where there is none, nobody has to ask for processes, but is told
if test "$tender" = process && test ! -e /dev/kvm; then
	ok "no KVM, and no tender asked for" env -u USETL_TENDER \
		"$usetl" invoke -d '[1]' "$tmp/echo.usetl"
	is "no KVM: the result" "$(cat "$tmp/out")" '[1]'
	like "no KVM: what is weaker, and what is missing" "$tmp/err" \
		'isolates less.*: no /dev/kvm'
	is "no KVM: in one line" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
else
	skip "no KVM, and no tender asked for" "there is /dev/kvm"
fi

# over HTTP
serve_or_end "$tmp/echo.usetl" "$tmp/hostile.usetl"
# answer NAME STATUS TYPE PATTERN: what call left behind
answer() {
	is "$1" "$status $(json 'd["errorType"]')" "$2 \"$3\""
	like "$1: what is said" "$tmp/out" "\"errorMessage\": \"[^\"]*$4"
	json 'sorted(d)' >"$tmp/keys"
	is "$1: three members" "$(cat "$tmp/keys")" \
		'["errorMessage", "errorType", "stackTrace"]'
}
call nosuch '{}'
answer "an unknown function" 404 Usetl.NotFound "'nosuch'; GET /function"
status=$(curl -sS -m 20 -o "$tmp/out" -w '%{http_code}' "$url/function/echo")
answer "GET of a function" 405 Usetl.MethodNotAllowed 'POST'
status=$(curl -sS -m 20 -o "$tmp/out" -w '%{http_code}' -d '{}' "$url/healthz")
answer "POST of a page" 405 Usetl.MethodNotAllowed 'GET'
call echo '{"a": }'
answer "a body that is not JSON" 400 Usetl.BadRequest 'line 1, column 7'
head -c 3000000 /dev/zero | tr '\0' 1 >"$tmp/large"
call echo "@$tmp/large"
answer "a body that is too large" 413 Usetl.RequestTooLarge 'request\.max'
call hostile '{"do": "memory"}'
answer "memory past the limit" 500 MemoryError 'limit is 64 MB'
call hostile '{"do": "network"}'
answer "a socket" 500 OSError 'Errno 97'
like_soon "a socket: the log says what to use" "$tmp/serve.err" \
	'^hostile: usetl: sockets .* use usetl\.get'
call hostile '{"do": "fork"}'
answer "a process" 500 OSError 'Errno 38'
like_soon "a process: the log says so" \
	"$tmp/serve.err" '^hostile: usetl: processes are not'
call echo '{"still": "there"}'
is "after all refusals, a request is served" \
	"$status $(cat "$tmp/out")" '200 {"still": "there"}'
one "invoke: an unknown function" 1 "no function 'nosuch'" \
	"$usetl" invoke "$url/function/nosuch"
one "a port in use" 1 'in use' sh -c "'$usetl' serve -l '${url#http://}' \
	'$tmp/echo.usetl' 2>&1 >/dev/null | grep -v 'is ready' >&2; exit 1"
stop_serve
one "invoke: no server there" 1 "connect" \
	"$usetl" invoke -d '{}' "$url/function/echo"
plan
