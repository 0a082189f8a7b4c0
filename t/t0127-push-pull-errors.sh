#!/bin/sh
# push and pull where something is wrong: one clear line, and no file
. "$(dirname "$0")/lib.sh"
need_usetl
need_python
. "$t/registry.sh"
write_function one first
write_function two second
one=$(about one 'd["sha256"]')
start_registry
at=$registry/functions
ok "push" push "$tmp/one.usetl" "$at/one:1"
mkdir "$tmp/to" "$tmp/bin"

# nothing NAME: neither in the folder of images nor in TMPDIR
nothing() {
	is "$1: no file is left" "$(ls -A "$tmp/to" "$TMPDIR")" \
		"$(printf '%s:\n\n%s:' "$TMPDIR" "$tmp/to")"
	rm -f "$tmp/to/p.usetl"
}

# refused NAME PATTERN COMMAND...: status 1, one line, no file
refused() {
	refused=$1 pattern=$2
	shift 2
	fails "$refused" 1 "$@"
	is "$refused: one line" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
	like "$refused: what is said" "$tmp/err" "^usetl pu(sh|ll): $pattern"
	nothing "$refused"
}

# unpulled NAME PATTERN [REF]: that cannot be pulled
unpulled() {
	refused "$1" "'${3:-$at/one:1}'$2" \
		pull --no-store -o "$tmp/to/p.usetl" "${3:-$at/one:1}"
}

# --- command lines
for words in pull push "push one.usetl" "pull a b" "push a b c" \
	"pull --nosuch a" "push -o a b c" "pull --tls-verify=maybe a"
do
	# shellcheck disable=SC2086
	fails "usage: usetl $words" 2 "$usetl" $words
done
ok "pull --help" "$usetl" pull --help
ok "push --help" "$usetl" push --help

# --- references
unpulled "no such tag" ": .*manifest unknown" "$at/one:nosuch"
unpulled "no such name" ": .*(manifest|name) unknown" "$at/nosuch:1"
unpulled "no such digest" ": .*manifest unknown" \
	"$at/one@sha256:$(printf %064d 1)"
unpulled "no reference" ": .*invalid reference" "UPPER/CASE:1"
unpulled "nobody listens" ": .*connection refused" 127.0.0.1:1/one:1
refused "no TLS there" "'$at/one:1': .*needs --tls-verify=false" \
	"$usetl" pull -o "$tmp/to/p.usetl" "$at/one:1"
refused "push to where nobody listens" \
	"'127.0.0.1:1/one:1': .*connection refused" \
	push "$tmp/one.usetl" 127.0.0.1:1/one:1

# --- images
echo 'no image' >"$tmp/text"
refused "push of no image" "'$tmp/text' is not a usetl image" \
	push "$tmp/text" "$at/x:1"
refused "push of no file" "cannot open '$tmp/absent'" \
	push "$tmp/absent" "$at/x:1"
cp "$tmp/one.usetl" "$tmp/bad.usetl"
printf X | dd of="$tmp/bad.usetl" bs=1 seek=1000000 conv=notrunc 2>/dev/null
refused "push of an altered image" "'$tmp/bad.usetl' was altered" \
	push "$tmp/bad.usetl" "$at/x:1"
unpulled "what was not pushed is not there" ": .*(manifest|name) unknown" \
	"$at/x:1"

# foreign NAME EXPRESSION: the image, its config c and manifest m changed, by
# skopeo to the registry as NAME:1
foreign() {
	rm -rf "$tmp/layout"
	mkdir "$tmp/layout"
	tar xf "$tmp/one.usetl" -C "$tmp/layout"
	"$python" - "$tmp/layout" "$2" 2>"$tmp/err" <<'PY'
import hashlib, json, os, sys
os.chdir(sys.argv[1])
def load(d):
    return json.load(open("blobs/sha256/" + d["digest"][7:]))
def store(o, d):
    data = json.dumps(o).encode()
    d.update(digest="sha256:" + hashlib.sha256(data).hexdigest(),
             size=len(data))
    open("blobs/sha256/" + d["digest"][7:], "wb").write(data)
index = json.load(open("index.json"))
m = load(index["manifests"][0])
c = load(m["config"])
exec(sys.argv[2])
store(c, m["config"])
store(m, index["manifests"][0])
json.dump(index, open("index.json", "w"))
PY
	skopeo copy -q --preserve-digests --dest-tls-verify=false \
		"oci:$tmp/layout" "docker://$at/$1:1" >>"$tmp/err" 2>&1 ||
		fail "skopeo pushes $1" "$tmp/err"
}
foreign other 'del c["usetl"]'
unpulled "an image of others" " is not a usetl image" "$at/other:1"
foreign zipped 'for l in m["layers"]: l["mediaType"] += "+gzip"'
unpulled "compressed layers" " is not a usetl image" "$at/zipped:1"
foreign newer 'c["usetl"]["version"] = 99'
unpulled "a newer image" " was made by a newer usetl" "$at/newer:1"
foreign named 'c["usetl"]["name"] = "../../x"'
unpulled "a name that is a path" " is damaged: its config is not whole" \
	"$at/named:1"
foreign huge 'm["layers"][0]["size"] = 1 << 32'
unpulled "a layer that is shorter than it says" "" "$at/huge:1"

# --- the registry's own storage
# altered NAME FILE PATTERN: in the storage, made so by commands on standard
# input, to which it is $1; and as it was again
altered() {
	cp "$2" "$tmp/saved"
	sh -s "$2"
	unpulled "$1" "$3"
	cp "$tmp/saved" "$2"
}
set -- "$(blob "$(layer one runtime)")" "$(blob "$one")" \
	"$(blob "$(tar tf "$tmp/one.usetl" | sed -n '4s,.*/,,p')")"
altered "a changed layer" "$1" ": .*[Dd]igest" <<'SH'
printf X | dd of="$1" bs=1 seek=1000000 conv=notrunc 2>/dev/null
SH
altered "a truncated layer" "$1" ": .*[Dd]igest" <<'SH'
truncate -s 10M "$1"
SH
altered "an empty layer" "$1" ": .*[Dd]igest" <<'SH'
: >"$1"
SH
altered "a layer that is too long" "$1" ": .*[Dd]igest" <<'SH'
echo more >>"$1"
SH
altered "a layer that is gone" "$1" ": .*404" <<'SH'
rm "$1"
SH
altered "a changed manifest" "$2" "" <<'SH'
sed -i 's/  "size"/ "size" /' "$1"
SH
altered "a truncated manifest" "$2" "" <<'SH'
truncate -s 100 "$1"
SH
altered "an empty manifest" "$2" "" <<'SH'
: >"$1"
SH
altered "a changed config" "$3" "" <<'SH'
sed -i 's/first/later/; s/"one"/"eno"/' "$1"
SH
altered "a config that is gone" "$3" "" <<'SH'
rm "$1"
SH
# who names a digest gets that image, and no other good one
ok "push of another image" push "$tmp/two.usetl" "$at/one:2"
cp "$(blob "$one")" "$tmp/saved"
cp "$(blob "$(about two 'd["sha256"]')")" "$(blob "$one")"
unpulled "another image's manifest" \
	" was altered: the digest of its manifest is [0-9a-f]{12}$" \
	"$at/one@sha256:$one"
unpulled "another image's manifest, skopeo's word before it" \
	" was altered: the digest of its manifest is [0-9a-f]{12}$" \
	"docker://$at/one@sha256:$one"
cp "$tmp/saved" "$(blob "$one")"

# --- where it is written
refused "a folder that is not there" "cannot write '.*absent/p.usetl'" \
	pull -o "$tmp/absent/p.usetl" "$at/one:1"
refused "a folder" "cannot write '.*to': Is a directory" \
	pull -o "$tmp/to" "$at/one:1"
refused "a file that is no image" "'$tmp/text' is there, and is no" \
	pull -o "$tmp/text" "$at/one:1"
is "a file that is no image stays" "$(cat "$tmp/text")" 'no image'
cp "$tmp/two.usetl" "$tmp/older.usetl"
fails "what cannot be pulled over an image" 1 \
	pull -o "$tmp/older.usetl" "$at/one:nosuch"
ok "what cannot be pulled leaves an older image" \
	cmp "$tmp/older.usetl" "$tmp/two.usetl"
# as FOLDER OPTIONS COMMAND...: with a file system of those options there
cat >"$tmp/bin/as" <<'SH'
#!/bin/sh
exec unshare -m sh -c 'mount --make-rprivate / &&
	mount -t tmpfs -o "$2" none "$1" && shift 2 && exec "$@"' sh "$@"
SH
chmod 755 "$tmp/bin/as"
if test "$(id -u)" = 0 && "$tmp/bin/as" "$tmp/to" ro true 2>/dev/null; then
	refused "a full disk" "cannot write the image: No space left" \
		"$tmp/bin/as" "$tmp/to" size=20m "$usetl" pull \
		--tls-verify=false -o "$tmp/to/p.usetl" "$at/one:1"
	refused "a full TMPDIR" "'$at/one:1': .*no space left" \
		"$tmp/bin/as" "$TMPDIR" size=20m "$usetl" pull --no-store \
		--tls-verify=false -o "$tmp/to/p.usetl" "$at/one:1"
	refused "push with a full TMPDIR" "cannot write .*No space left" \
		"$tmp/bin/as" "$TMPDIR" size=20m "$usetl" push \
		--tls-verify=false "$tmp/one.usetl" "$at/one:2"
	refused "a disk that is read-only" \
		"cannot write '.*p.usetl': Read-only file system" \
		"$tmp/bin/as" "$tmp/to" ro "$usetl" pull \
		--tls-verify=false -o "$tmp/to/p.usetl" "$at/one:1"
else
	skip "a full disk" "not root, or no mount namespaces"
fi

# --- skopeo
refused "no skopeo" "there is no skopeo, which moves images: apt-get" \
	env PATH="$tmp/absent" "$usetl" pull -o "$tmp/to/p.usetl" "$at/one:1"
refused "push without skopeo" "there is no skopeo" \
	env PATH="$tmp/absent" "$usetl" push "$tmp/one.usetl" "$at/one:1"

# another skopeo, whose copying is the commands on standard input; to is the
# folder that it copies to, and what comes before is that of the real one
another() {
	{
		echo '#!/bin/sh'
		echo 'for to; do :; done'
		# shellcheck disable=SC2016
		echo 'case $1 in --tmpdir) to=${to#oci:} ;; *) exec' \
			"'$(command -v skopeo)'" '"$@" ;; esac'
		cat
	} >"$tmp/bin/skopeo"
	chmod 755 "$tmp/bin/skopeo"
}

# begin_pull: in the background, until the other skopeo copies; $pull_pid
begin_pull() {
	rm -f "$tmp/copies"
	env PATH="$tmp/bin:$PATH" "$usetl" pull --tls-verify=false \
		-o "$tmp/to/p.usetl" "$at/one:1" >"$tmp/out" 2>"$tmp/err" &
	pull_pid=$!
	await copies_or_ended
}

copies_or_ended() {
	test -s "$tmp/copies" || ! kill -0 $pull_pid 2>/dev/null
}

another <<'SH'
printf 'one\ntwo\ntime="t" level=fatal msg="as \"it\" is"\n' >&2
exit 1
SH
PATH=$tmp/bin:$PATH fails "a skopeo of many words" 1 \
	pull -o "$tmp/to/p.usetl" "$at/one:1"
is "a skopeo of many words: the reason, and its last lines" \
	"$(cat "$tmp/err")" "usetl pull: '$at/one:1': as \"it\" is
one
two
time=\"t\" level=fatal msg=\"as \\\"it\\\" is\""
nothing "a skopeo of many words"
another <<'SH'
exit 0
SH
PATH=$tmp/bin:$PATH refused "a skopeo that brings nothing" \
	"'$at/one:1' was altered: its runtime is not what" \
	pull --no-store -o "$tmp/to/p.usetl" "$at/one:1"
another <<SH
mkdir -p "\$to/blobs/sha256"
truncate -s 1G "\$to/blobs/sha256/more"
exec sleep 600
SH
PATH=$tmp/bin:$PATH refused "more than the manifest says" \
	"'$at/one:1' sends more than its manifest says" \
	pull -o "$tmp/to/p.usetl" "$at/one:1"

# in the middle of a layer
another <<SH
mkdir -p "\$to/blobs/sha256"
truncate -s 10M "\$to/blobs/sha256/half"
echo \$\$ >"$tmp/copies"
exec sleep 600
SH
for s in INT TERM HUP; do
	begin_pull
	kill -$s $pull_pid
	wait $pull_pid
	is "SIG$s in the middle: status and words" "$? $(cat "$tmp/err")" \
		"1 usetl pull: stopped"
	nothing "SIG$s in the middle"
	fails "SIG$s in the middle: skopeo has ended" 1 \
		kill -0 "$(cat "$tmp/copies")"
done
begin_pull
kill -KILL $pull_pid
wait $pull_pid 2>/dev/null
is "SIGKILL in the middle: there is no image" "$(ls "$tmp/to")" ""
kill "$(cat "$tmp/copies")"
rm -rf "$TMPDIR"/* "$tmp"/to/.[!.]*
ok "and all is well again" pull -o "$tmp/to/p.usetl" "$at/one:1"
ok "and all is well again: the image" cmp "$tmp/to/p.usetl" "$tmp/one.usetl"
plan
