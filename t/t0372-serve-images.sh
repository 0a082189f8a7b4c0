#!/bin/sh
# an image that is served never changes, whatever happens to its file
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end echo hostile
cp "$tmp/echo.usetl" "$tmp/served.usetl"
digest() {
	"$usetl" inspect --json "$1" |
		"$python" -c 'import json, sys; print(json.load(sys.stdin)["sha256"])'
}
chmod 755 "$tmp"
mkdir "$tmp/copies"
size=$(wc -c <"$tmp/served.usetl")

# conf [LINE...]: a configuration of the one function, with these in [serve]
conf() {
	{
		echo '[serve]'
		printf '%s\n' "$@"
		printf '[pool]\nrefresh = 500ms\nshare = %s\n' "$share"
		printf '[function echo]\nimage = %s\n' "$tmp/served.usetl"
	} >"$tmp/usetl.conf"
}

share=yes

# fresh: another reference has taken over since, or cannot
fresh() {
	: >"$tmp/serve.err"
	wait_for "$tmp/serve.err" \
		'a new reference (took over|cannot boot)' "$serve_pid"
}

# answers NAME: by a clone of a reference that boots from now on
answers() {
	fresh
	fresh
	unlike "$1: a new reference boots" "$tmp/serve.err" 'cannot boot'
	call echo '{"n": 1}'
	is "$1: the function is the one that was verified" \
		"$status $(cat "$tmp/out")" '200 {"n": 1}'
}

conf "copies = $tmp/copies"
serve_or_end -c "$tmp/usetl.conf"
like "the log names the digest that runs" "$tmp/serve.err" \
	"'echo' is ready: .*digest $(digest "$tmp/echo.usetl")"
is "the copy of an image has no name" "$(ls -A "$tmp/copies")" ""
held=$(stat -L -c '%s %h %a' "/proc/$serve_pid/fd/"* 2>/dev/null |
	grep "^$size 0 ")
# the runtime's, whole, and the function's, without that
is "the copies of an image: files that nobody may write" "$held" \
	"$(printf '%s 0 400\n%s 0 400' "$size" "$size")"
mode=$(for fd in "/proc/$serve_pid/fd/"*; do
	test "$(stat -L -c '%s %h' "$fd" 2>/dev/null)" = "$size 0" &&
		sed -n 's/^flags:.*\(.\)$/\1/p' \
			"/proc/$serve_pid/fdinfo/${fd##*/}"
done)
is "the copies of an image are open for reading alone" "$mode" \
	"$(printf '0\n0')"
answers "nothing happens to the file"
# in place, which changes the file that is open
cat "$tmp/hostile.usetl" >"$tmp/served.usetl"
answers "another image is copied over the file"
head -c $((size / 2)) "$tmp/echo.usetl" >"$tmp/half"
cat "$tmp/half" >"$tmp/served.usetl"
answers "the file is truncated"
: >"$tmp/served.usetl"
answers "the file is emptied"
rm "$tmp/served.usetl"
answers "the file is removed"
kill -HUP "$serve_pid"
ok "SIGHUP: what cannot be opened is said" wait_for "$tmp/serve.err" \
	"cannot open '.*served.usetl'" "$serve_pid"
answers "SIGHUP without the file"
cat "$tmp/half" >"$tmp/served.usetl"
kill -HUP "$serve_pid"
ok "SIGHUP: half of the file is said" wait_for "$tmp/serve.err" \
	"'.*served.usetl' is truncated" "$serve_pid"
answers "SIGHUP with half of the file"

# what is there at a SIGHUP, and verified, is what runs from then on
cp "$tmp/hostile.usetl" "$tmp/served.usetl"
kill -HUP "$serve_pid"
ok "SIGHUP with another image" wait_for "$tmp/serve.err" \
	"'echo' is ready: .*digest $(digest "$tmp/hostile.usetl")" \
	"$serve_pid"
call echo '{"do": "nothing"}'
is "SIGHUP with another image: it runs" \
	"$status $(json d)" '200 {"fine": true}'
# its digest is right, but not for these bytes
printf '\377' | dd of="$tmp/served.usetl" bs=1 conv=notrunc \
	seek=$(($(wc -c <"$tmp/hostile.usetl") / 2)) 2>/dev/null
echo 'memory = 100M' >>"$tmp/usetl.conf"
: >"$tmp/serve.err"
kill -HUP "$serve_pid"
ok "SIGHUP with other bytes of the same digest" wait_for "$tmp/serve.err" \
	"'echo' is ready" "$serve_pid"
call echo '{"do": "nothing"}'
is "SIGHUP with other bytes: what was verified runs" \
	"$status $(json d)" '200 {"fine": true}'

# one copy of the same bytes, however many functions
for n in second third; do
	printf '[function %s]\nimage = %s\n' "$n" "$tmp/echo.usetl" \
		>>"$tmp/usetl.conf"
	kill -HUP "$serve_pid"
	wait_for "$tmp/serve.err" "'$n' is ready" "$serve_pid"
done
stat -L -c '%d:%i %h %s' "/proc/$serve_pid/fd/"* 2>/dev/null |
	grep " 0 $size\$" | sort -u >"$tmp/inodes"
is "functions of one digest share a copy" \
	"$(wc -l <"$tmp/inodes" | tr -d ' ')" 1
stop_serve
is "serve ends well" "$serve_status" 0

# where no copy can be made
cp "$tmp/echo.usetl" "$tmp/served.usetl"
conf "copies = $tmp/absent"
fails "a folder that is not there" 1 "$usetl" serve -l 127.0.0.1:0 \
	-c "$tmp/usetl.conf"
like "a folder that is not there: what is said" "$tmp/err" \
	"cannot keep a copy of '.*served.usetl' \(.* MB\) in '.*absent': No such file"
conf "copies = $tmp/echo.usetl"
fails "a folder that is none" 1 "$usetl" serve -l 127.0.0.1:0 \
	-c "$tmp/usetl.conf"
like "a folder that is none: what is said" \
	"$tmp/err" "in '.*echo.usetl': Not a directory"
cat >"$tmp/full" <<'END'
#!/bin/sh
# full FOLDER COMMAND...: with a disk of $disk bytes there, or 1 MB
exec unshare -m sh -c 'mount --make-rprivate / &&
	mount -t tmpfs -o "size=${disk:-1m}" none "$1" &&
	shift && exec "$@"' sh "$@"
END
chmod 755 "$tmp/full"
if test "$(id -u)" = 0 && "$tmp/full" "$tmp/copies" true 2>/dev/null; then
	conf "copies = $tmp/copies"
	fails "a full disk" 1 "$tmp/full" "$tmp/copies" "$usetl" serve \
		-l 127.0.0.1:0 -c "$tmp/usetl.conf"
	like "a full disk is said" "$tmp/err" \
		"cannot keep a copy of .* in '.*copies': No space left"

	# at a SIGHUP: all goes on; with a runtime there less is copied
	real=$usetl
	cat >"$tmp/usetl-full" <<END
#!/bin/sh
exec "$tmp/full" "$tmp/copies" "$real" "\$@"
END
	chmod 755 "$tmp/usetl-full"
	for share in no yes; do
		test $share = no && disk=1m || disk=4k
		export disk
		cp "$tmp/echo.usetl" "$tmp/served.usetl"
		conf
		usetl=$tmp/usetl-full
		serve_or_end -c "$tmp/usetl.conf"
		usetl=$real
		conf "copies = $tmp/copies"
		cp "$tmp/hostile.usetl" "$tmp/served.usetl"
		kill -HUP "$serve_pid"
		ok "a full disk at SIGHUP is said, share = $share" \
			wait_for "$tmp/serve.err" \
			"'echo' cannot boot: cannot keep a copy of .*No space left" \
			"$serve_pid"
		call echo '{"n": 2}'
		is "a full disk at SIGHUP: what was there goes on" \
			"$status $(cat "$tmp/out")" \
			'200 {"n": 2}'
		stop_serve
	done
else
	skip "a full disk" "not root, or no mount namespaces"
fi

# where the image lies nothing can be written: elsewhere, then
if test "$(id -u)" = 0 && unshare -m true 2>/dev/null; then
	cat >"$tmp/usetl-ro" <<END
#!/bin/sh
exec unshare -m sh -c 'mount --make-rprivate / &&
	mount --bind "$tmp" "$tmp" && mount -o remount,bind,ro "$tmp" &&
	exec "\$@"' sh "$usetl" "\$@"
END
	chmod 755 "$tmp/usetl-ro"
	cp "$tmp/echo.usetl" "$tmp/served.usetl"
	conf
	real=$usetl usetl=$tmp/usetl-ro
	serve_or_end -c "$tmp/usetl.conf"
	usetl=$real
	call echo '{"n": 3}'
	is "an image in a folder that cannot be written" \
		"$status $(cat "$tmp/out")" '200 {"n": 3}'
	stop_serve
else
	skip "an image in a folder that cannot be written" \
		"not root, or no mount namespaces"
fi
plan
