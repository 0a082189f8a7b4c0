# registry.sh - for scripts that source lib.sh: a registry of the test's own
#
# docker-registry on a free loopback port, with its storage in $tmp/registry,
# ended by its process id when the script ends.

command -v skopeo >/dev/null || skip_all "no skopeo"
command -v docker-registry >/dev/null || skip_all "no docker-registry"

# where skopeo keeps things when not root; and where usetl leaves nothing
HOME=$tmp/home XDG_DATA_HOME=$tmp/home TMPDIR=$tmp/temp
export HOME XDG_DATA_HOME TMPDIR
mkdir "$HOME" "$TMPDIR"

registry_pid=

end_registry() {
	stop_registry
	cleanup
}
trap end_registry EXIT

# start_registry [HTTP-LINE...]: $registry is its HOST:PORT; the lines go below
# http: in its configuration.  $registry_auth, when set, is a password file
start_registry() {
	{
		echo 'version: 0.1'
		echo 'log: {level: info, accesslog: {disabled: false}}'
		echo "storage: {filesystem: {rootdirectory: $tmp/registry}}"
		test -z "${registry_auth:-}" ||
			echo "auth: {htpasswd: {realm: r, path: $registry_auth}}"
		echo 'http:'
		echo '  addr: 127.0.0.1:0'
		printf '  %s\n' 'secret: of the test' "$@"
	} >"$tmp/registry.yml"
	: >"$tmp/registry.log"
	docker-registry serve "$tmp/registry.yml" \
		>>"$tmp/registry.log" 2>&1 &
	registry_pid=$!
	if ! wait_for "$tmp/registry.log" 'listening on' "$registry_pid"; then
		fail "the registry starts" "$tmp/registry.log"
		plan
	fi
	registry=$(sed -n 's/.*listening on \([0-9.]*:[0-9]*\).*/\1/p' \
		"$tmp/registry.log")
}

stop_registry() {
	test -n "$registry_pid" || return 0
	kill "$registry_pid" 2>/dev/null
	wait "$registry_pid" 2>/dev/null
	registry_pid=
}

# blob DIGEST: its file in the registry's storage
blob() {
	echo "$tmp/registry/docker/registry/v2/blobs/sha256/$(
		echo "$1" | cut -c 1-2)/$1/data"
}

# came: the digests of blobs that were sent since the log was emptied, once
# the manifest, which is sent behind them, was
came() {
	wait_for "$tmp/registry.log" '"PUT [^ ]*/manifests/' "$registry_pid"
	sed -n 's/.*"PUT [^ ]*[?&]digest=sha256%3A\([0-9a-f]*\).*/\1/p' \
		"$tmp/registry.log" | sort
}

# write_function NAME WORD: answers the word, from an app and a packages layer;
# baked
write_function() {
	mkdir -p "$tmp/src/$1" "$tmp/packages/p"
	# its times are in the layer
	test -e "$tmp/packages/p/__init__.py" ||
		echo "N = 1" >"$tmp/packages/p/__init__.py"
	printf '%s\n' 'import p' 'def handler(event, context):' \
		"    return ['$2', p.N]" >"$tmp/src/$1/app.py"
	printf '%s\n' '[function]' "name = $1" 'handler = app.handler' \
		'[packages]' "path = $tmp/packages" >"$tmp/src/$1/function.ini"
	"$usetl" bake --no-check -o "$tmp/$1.usetl" "$tmp/src/$1" \
		>"$tmp/out" 2>"$tmp/err" && return
	fail "bake $1" "$tmp/err"
	plan
}

# about NAME EXPRESSION: of what inspect says of an image, as d
about() {
	"$usetl" inspect --json "$tmp/$1.usetl" >"$tmp/out" 2>&1
	json "$2" | tr -d '"'
}

# layer NAME KIND: its digest
layer() {
	about "$1" "[l['sha256'] for l in d['layers'] if l['name'] == '$2'][0]"
}

push() {
	"$usetl" push --tls-verify=false "$@"
}

pull() {
	"$usetl" pull --tls-verify=false "$@"
}
