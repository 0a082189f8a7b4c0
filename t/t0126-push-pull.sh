#!/bin/sh
# images to a registry and back: Debian's docker-registry, by skopeo
. "$(dirname "$0")/lib.sh"
need_usetl
need_python
. "$t/registry.sh"
write_function one first
write_function two second

one=$(about one 'd["sha256"]')
two=$(about two 'd["sha256"]')

# texts NAME: the digests of config and manifest, sorted
texts() {
	tar tf "$tmp/$1.usetl" | sed -n 's,^blobs/sha256/,,p' | head -n 2 |
		sort
}

# sorted WORD...: one a line
sorted() {
	printf '%s\n' "$@" | sort
}

# pulled NAME IMAGE: $tmp/p.usetl is it, byte for byte
pulled() {
	ok "$1" cmp "$tmp/p.usetl" "$tmp/$2.usetl"
}

start_registry
at=$registry/functions

# --- there
ok "push" push "$tmp/one.usetl" "$at/one:1"
like "push says what is where" "$tmp/out" \
	"^pushed $tmp/one.usetl to $at/one:1: [0-9.]+ MB, sha256 $(
	echo "$one" | cut -c 1-12)$"
is "push: the registry has the image by its own digest" \
	"$(skopeo inspect --tls-verify=false --format '{{.Digest}}' \
		"docker://$at/one:1" 2>&1)" \
	"sha256:$one"
is "push: it has the layers by theirs" \
	"$(skopeo inspect --tls-verify=false --format '{{.Layers}}' \
		"docker://$at/one:1" 2>&1)" \
	"[$(about one '" ".join("sha256:" + l["sha256"] for l in d["layers"])')]"
is "push sends config and layers" "$(came)" "$(sorted \
	"$(texts one | grep -v "$one")" \
	"$(layer one runtime)" "$(layer one packages)" "$(layer one app)")"
# the digests of what the second image has alone
own=$(sorted "$(texts two | grep -v "$two")" \
	"$(layer two app)")
is "two functions of one interpreter have their lower layers in common" \
	"$(layer two runtime) $(layer two packages)" \
	"$(layer one runtime) $(layer one packages)"
: >"$tmp/registry.log"
ok "push of another tag" push "$tmp/two.usetl" "$at/one:2"
is "push of another tag sends only what is missing" "$(came)" "$own"
stop_registry
rm -rf "$tmp/registry"
start_registry
at=$registry/functions
ok "push again, to an empty registry" push "$tmp/one.usetl" "$at/one:1"
: >"$tmp/registry.log"
ok "push of another name" push "$tmp/two.usetl" "$at/two:1"
is "push of another name sends only what is missing" "$(came)" "$own"
: >"$tmp/registry.log"
ok "push of what is there" push "$tmp/two.usetl" "$at/two:1"
is "push of what is there sends no blob" "$(came)" ""
is "the registry keeps each blob once" "$(find \
	"$tmp/registry/docker/registry/v2/blobs" -name data | wc -l |
	tr -d ' ')" "$({ texts one && texts two && echo "$(layer one runtime)
$(layer one packages)" && layer one app && layer two app; } | sort -u |
	wc -l | tr -d ' ')"

# --- and back
ok "pull" pull -o "$tmp/p.usetl" "$at/one:1"
like "pull says what it is" "$tmp/out" \
	"^pulled $tmp/p.usetl: [0-9.]+ MB, sha256 $(
	echo "$one" | cut -c 1-12)$"
pulled "what is pulled is what was pushed, to the last byte" one
ok "what is pulled has its digests" "$usetl" inspect --verify "$tmp/p.usetl"
is "inspect says the same of both" \
	"$("$usetl" inspect --json "$tmp/p.usetl")" \
	"$("$usetl" inspect --json "$tmp/one.usetl")"
umask 027
ok "pull by digest" pull -o "$tmp/q.usetl" \
	"$at/two@sha256:$two"
umask 022
ok "pull by digest: that image" cmp "$tmp/q.usetl" "$tmp/two.usetl"
is "its mode is what umask leaves" "$(stat -c %a "$tmp/q.usetl")" 640
ok "pull with skopeo's word for registries" \
	pull -o "$tmp/q.usetl" "docker://$at/two:1"
mkdir "$tmp/cwd"
ok "pull without -o" sh -c \
	'cd "$1" && exec "$2" pull --tls-verify=false "$3"' sh \
	"$tmp/cwd" "$usetl" "$at/one:1"
is "pull without -o: the function's name" "$(ls -A "$tmp/cwd")" one.usetl
is "nothing is left in TMPDIR" "$(ls -A "$TMPDIR")" ""

find_tenders
for k in $tenders; do
	USETL_TENDER=$k "$usetl" invoke "$tmp/p.usetl" </dev/null \
		>"$tmp/out" 2>"$tmp/err"
	is "what is pulled runs by $k" "$(cat "$tmp/out" "$tmp/err")" \
		'["first", 1]'
done

# --- the image that is replaced has layers in common: the registry has lost
# them since, so they cannot have come from there
mv "$(blob "$(layer one runtime)")" "$tmp/runtime"
mv "$(blob "$(layer one packages)")" "$tmp/packages.tar"
ok "pull over another function's image" \
	pull --no-store -o "$tmp/p.usetl" "$at/two:1"
pulled "pull over another function's image: it is the new one" two
fails "pull to another name needs the layers" 1 \
	pull --no-store -o "$tmp/absent.usetl" "$at/two:1"
# whose runtime is not what it says
cp "$tmp/one.usetl" "$tmp/p.usetl"
printf X | dd of="$tmp/p.usetl" bs=1 seek=1000000 conv=notrunc 2>/dev/null
fails "pull over an altered image takes nothing from there" 1 \
	pull --no-store -o "$tmp/p.usetl" "$at/two:1"
mv "$tmp/runtime" "$(blob "$(layer one runtime)")"
mv "$tmp/packages.tar" "$(blob "$(layer one packages)")"
ok "pull over an altered image" pull -o "$tmp/p.usetl" "$at/two:1"
pulled "pull over an altered image: it is the new one" two
: >"$tmp/p.usetl"
ok "pull over an empty file" pull -o "$tmp/p.usetl" "$at/one:1"

# --- thin images: their layers are in a store
store=$tmp/store
ok "bake a thin one" "$usetl" bake --no-check --thin --store "$store" \
	-o "$tmp/thin.usetl" "$tmp/src/one"
: >"$tmp/registry.log"
ok "push of a thin image" push --store "$store" "$tmp/thin.usetl" "$at/one:1"
is "push of a thin image: it is the whole one" "$(came)" ""
stop_registry
rm -rf "$tmp/registry"
start_registry
at=$registry/functions
ok "push of a thin image to an empty registry" \
	push --store "$store" "$tmp/thin.usetl" "$at/thin:1"
like "push of a thin image says how much that is" "$tmp/out" \
	'^pushed .*: [1-9][0-9.]* MB, sha256 '
is "push of a thin image sends its layers" "$(came)" "$(sorted \
	"$(texts one | grep -v "$one")" \
	"$(layer one runtime)" "$(layer one packages)" "$(layer one app)")"
ok "pull of what a thin one was" \
	pull --no-store -o "$tmp/p.usetl" "$at/thin:1"
pulled "pull of what a thin one was: the whole image" one
ok "pull of a thin image" \
	pull --thin --store "$tmp/other" -o "$tmp/p.usetl" "$at/thin:1"
like "pull of a thin image says what is where" "$tmp/out" \
	"^pulled $tmp/p.usetl: 0\.0[0-9] MB and [0-9.]+ MB in the store, sha256"
pulled "pull of a thin image: the thin one" thin
ok "pull of a thin image: its layers are in the store" \
	"$usetl" inspect --verify --store "$tmp/other" "$tmp/p.usetl"
is "pull of a thin image: and have a word there" \
	"$("$usetl" store --store "$tmp/other" list | awk '{ print $1 }' |
		sort | tr '\n' ' ')" "packages runtime "
ok "push of another thin image" push "$tmp/two.usetl" "$at/two:1"
mv "$(blob "$(layer one runtime)")" "$tmp/runtime"
mv "$(blob "$(layer one packages)")" "$tmp/packages.tar"
ok "pull of a thin image, whose layers the store has" \
	pull --thin --store "$tmp/other" -o "$tmp/q.usetl" "$at/two:1"
ok "pull of a thin image, whose layers the store has: it is whole" \
	"$usetl" inspect --verify --store "$tmp/other" "$tmp/q.usetl"
ok "pull of a whole image, whose layers the store has" \
	pull --store "$tmp/other" -o "$tmp/absent.usetl" "$at/two:1"
ok "pull of a whole image, whose layers the store has: the image" \
	cmp "$tmp/absent.usetl" "$tmp/two.usetl"
rm "$tmp/absent.usetl"
printf X | dd of="$tmp/other/layers/sha256-$(layer one runtime)" bs=1 \
	seek=1000000 conv=notrunc 2>/dev/null
fails "pull takes no layer that was altered in the store" 1 \
	pull --thin --store "$tmp/other" -o "$tmp/absent.usetl" "$at/two:1"
mv "$tmp/runtime" "$(blob "$(layer one runtime)")"
mv "$tmp/packages.tar" "$(blob "$(layer one packages)")"
ok "pull mends a store" \
	pull --thin --store "$tmp/other" -o "$tmp/q.usetl" "$at/two:1"
ok "pull mends a store: it is whole" \
	"$usetl" inspect --verify --store "$tmp/other" "$tmp/q.usetl"
: >"$tmp/q.usetl"
ok "pull into a store that is not there yet" \
	pull --store "$tmp/new" -o "$tmp/q.usetl" "$at/two:1"
is "pull into a store that is not there yet: what it keeps" \
	"$(ls "$tmp/new/layers" | wc -l)" 2
fails "pull --thin without a store" 2 \
	pull --thin --no-store -o "$tmp/absent.usetl" "$at/two:1"
: >"$tmp/file"
fails "pull --thin, where the store is a file" 1 \
	pull --thin --store "$tmp/file" -o "$tmp/absent.usetl" "$at/two:1"
like "pull --thin, where the store is a file: what is said" "$tmp/err" \
	'^usetl pull: a thin image needs a store: .*Not a directory$'
ok "push of the first one again" push "$tmp/one.usetl" "$at/one:1"

# --- what else skopeo takes
ok "push to an OCI layout" "$usetl" push "$tmp/one.usetl" "oci:$tmp/layout:1"
ok "pull from an OCI layout" "$usetl" pull -o "$tmp/p.usetl" \
	"oci:$tmp/layout:1"
pulled "pull from an OCI layout: the image" one
ok "skopeo pushes what tar unpacked" sh -c 'mkdir "$1" &&
	tar xf "$2" -C "$1" && exec skopeo copy --preserve-digests \
	--dest-tls-verify=false "oci:$1" "docker://$3"' sh \
	"$tmp/unpacked" "$tmp/one.usetl" "$at/skopeo:1"
ok "pull of what skopeo pushed" pull -o "$tmp/q.usetl" "$at/skopeo:1"
ok "pull of what skopeo pushed: the image" cmp "$tmp/q.usetl" "$tmp/one.usetl"
mkdir "$tmp/a:b"
ok "a TMPDIR that skopeo could not name" \
	env TMPDIR="$tmp/a:b" "$usetl" pull --tls-verify=false \
	-o "$tmp/p.usetl" "$at/two:1"
pulled "a TMPDIR that skopeo could not name: the image" two

# --- who may: the password of usetl is secret
stop_registry
echo 'usetl:$2b$04$usetlusetlusetlusetlu.Yq7Vm4xVIkK9Bmnsc.Yr2.CeLU/cmQy' \
	>"$tmp/passwords"
registry_auth=$tmp/passwords
start_registry
at=$registry/functions
printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$registry" \
	"$(printf usetl:secret | base64)" >"$tmp/auth.json"
fails "push without a password" 1 push "$tmp/one.usetl" "$at/one:3"
like "push without a password: what is said" "$tmp/err" \
	"^usetl push: '$at/one:3': .*(unauthorized|authentication)"
fails "pull with a wrong password" 1 \
	pull --creds usetl:wrong -o "$tmp/absent.usetl" "$at/one:1"
ok "push with --creds" push --creds usetl:secret "$tmp/one.usetl" "$at/one:3"
ok "pull with --creds" \
	pull --creds usetl:secret -o "$tmp/p.usetl" "$at/one:3"
ok "push with --authfile" \
	push --authfile "$tmp/auth.json" "$tmp/one.usetl" "$at/one:4"
ok "pull with --authfile" \
	pull --authfile "$tmp/auth.json" -o "$tmp/p.usetl" "$at/one:4"
pulled "pull with --authfile: the image" one
stop_registry
registry_auth=

# --- a certificate of the registry's own
if mkdir "$tmp/certs" && openssl req -x509 -newkey rsa:2048 -nodes -days 2 \
	-subj /CN=registry -addext 'subjectAltName = IP:127.0.0.1' \
	-keyout "$tmp/key.pem" -out "$tmp/certs/ca.crt" 2>"$tmp/err"; then
	start_registry 'tls:' "  certificate: $tmp/certs/ca.crt" \
		"  key: $tmp/key.pem"
	at=$registry/functions
	fails "a certificate that nobody vouches for" 1 \
		"$usetl" pull -o "$tmp/absent.usetl" "$at/one:1"
	like "a certificate that nobody vouches for: what is said" \
		"$tmp/err" "^usetl pull: '$at/one:1': .*x509"
	ok "push with --cert-dir" "$usetl" push --cert-dir "$tmp/certs" \
		"$tmp/one.usetl" "$at/one:5"
	ok "pull with --cert-dir" "$usetl" pull --cert-dir "$tmp/certs" \
		-o "$tmp/p.usetl" "$at/one:5"
	ok "pull with any certificate" pull -o "$tmp/p.usetl" "$at/one:5"
	pulled "pull with any certificate: the image" one
else
	skip "certificates" "no openssl that makes one"
fi
is "who could not pull has no file" "$(ls "$tmp" | grep absent)" ""
is "nothing is left in TMPDIR, whatever happened" "$(ls -A "$TMPDIR")" ""
is "nothing is left beside images" "$(ls -A "$tmp" | grep '^\..*usetl')" ""
plan
