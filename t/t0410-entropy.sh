#!/bin/sh
# no request draws what another drew, or warm-up; what was seeded stays
. "$(dirname "$0")/lib.sh"
need_python
need_usetl
command -v curl >/dev/null || skip_all "no curl"
wheels="cryptography pynacl numpy uuid-utils grpcio"

# package NAME...: 0 when the interpreter's pip can bring them here
package() {
	timeout 120 "$python" -m pip install --quiet --no-compile \
		--disable-pip-version-check --only-binary :all: \
		--retries 1 --target "$tmp/wheels" "$@" >"$tmp/pip" 2>&1
}

# entropy NAME [FOLDER [ENVIRONMENT]]: an image of it with packages, begun
bakes=
entropy() {
	copy_function entropy "$1"
	test -z "${2:-}" || printf '[packages]\npath = %s\n' "$2" \
		>>"$tmp/src/$1/function.ini"
	test -z "${3:-}" || printf '[environment]\n%s\n' "$3" \
		>>"$tmp/src/$1/function.ini"
	"$usetl" bake --no-check -o "$tmp/$1.usetl" "$tmp/src/$1" \
		>"$tmp/bake.$1" 2>&1 &
	bakes="$bakes $1:$!"
}

# bakes_end: all that were begun
bakes_end() {
	for b in $bakes; do
		if wait "${b#*:}"; then
			pass "bake ${b%:*}"
		else
			fail "bake ${b%:*}" "$tmp/bake.${b%:*}"
		fi
	done
}

# once, for both tenders
if test -z "${ENTROPY_IMAGES:-}"; then
	ENTROPY_IMAGES=$tmp
	export ENTROPY_IMAGES
	take_layers
	# shellcheck disable=SC2086
	if ! package $wheels; then
		# one that is not to be had here takes none of the others along
		for p in $wheels; do
			package "$p" || skip "wheel $p" \
				"pip: $(grep . "$tmp/pip" | tail -n 1 |
					tr -d '#')"
		done
	fi
	if test -d "$tmp/wheels"; then
		entropy entropy "$tmp/wheels"
		entropy threads "$tmp/wheels" 'ENTROPY_THREAD = 1'
	else
		entropy entropy
		entropy threads "" 'ENTROPY_THREAD = 1'
	fi
	if test -d "$tmp/wheels/numpy"; then
		mkdir "$tmp/numpy"
		cp -rl "$tmp"/wheels/numpy* "$tmp/numpy"
		entropy seed "$tmp/numpy" 'ENTROPY_SEED = 42'
		entropy unseed "$tmp/numpy" 'ENTROPY_SEED = none'
	else
		entropy seed
	fi
	bakes_end
	test "$failed" = 0 || plan
fi
need_tender

cat >"$tmp/usetl.conf" <<END
[pool]
min = 1
max = 2
[function entropy]
image = $ENTROPY_IMAGES/entropy.usetl
pool.min = 8
pool.max = 8
[function threads]
image = $ENTROPY_IMAGES/threads.usetl
[function seed]
image = $ENTROPY_IMAGES/seed.usetl
[function fork]
image = $ENTROPY_IMAGES/seed.usetl
recycle = fork
[function keep]
image = $ENTROPY_IMAGES/seed.usetl
recycle = keep
END
test ! -e "$ENTROPY_IMAGES/unseed.usetl" ||
	printf '[function unseed]\nimage = %s/unseed.usetl\n' \
		"$ENTROPY_IMAGES" >>"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"

# draws NAME COUNT CONNECTIONS: what they found is the document in $tmp/out
draws() {
	"$python" "$t/draws.py" "$url/function/$1" "$2" "$3" \
		>"$tmp/out" 2>"$tmp/err"
	is "$1: $2 requests over $3 connections" \
		"$? $(json '[d["answers"], d["errors"]]')" "0 [$2, []]"
}

# every COUNT: each request is a process of its own, as fork(2) makes them
every() {
	is "$name: no value twice, nor one of warm-up" "$(json 'd["twice"]')" \
		'[]'
	is "$name: what was seeded in warm-up is left alone" \
		"$(json '[d["n_seeded"] > 4, d["seeded"]]')" '[true, []]'
	is "$name: what children share with their parent is left alone" \
		"$(json 'd["inherited"]')" '[]'
	is "$name: each has a pid of its own" \
		"$(json '[d["n_pids"], d["pids"]]')" "[$1, []]"
	is "$name: the pid is the thread's, and in /proc" \
		"$(json 'd["tids"]')" '[]'
	is "$name: the parent of all is who warmed up" \
		"$(json '[d["ppids"], d["ppid_is_warm"]]')" '[1, true]'
	is "$name: a request's id, and a UUID's node, are its own" \
		"$(json '[d["ids"], d["n_nodes"]]')" "[$1, $1]"
}

name=entropy
draws entropy 1000 8
is "there are many generators" "$(json 'd["names"] > 50')" true
every 1000
for w in cryptography nacl numpy uuid_utils grpc; do
	if test "$(json "'$w' in d['wheels']")" = true; then
		why=$(json "[m for m in d['missing'] if m.startswith('$w')]")
		if test "$why" = '[]'; then
			pass "the generators of $w"
		else
			skip "the generators of $w" "$why"
		fi
	else
		skip "the generators of $w" "it is not here"
	fi
done

for name in threads seed fork unseed; do
	if test -e "$ENTROPY_IMAGES/unseed.usetl" || test $name != unseed; then
		draws $name 24 2
		every 24
	else
		skip "numpy.random.seed() without a seed" "no numpy"
	fi
done

# one process, that goes on
draws keep 24 1
is "keep: no value twice, nor one of warm-up" "$(json 'd["twice"]')" '[]'
is "keep: what was seeded goes on too" "$(json 'd["seeded_go_on"]')" '[]'
is "keep: it is one process" "$(json 'd["n_pids"]')" 1
is "keep: each request has an id of its own" "$(json 'd["ids"]')" 24
plan
