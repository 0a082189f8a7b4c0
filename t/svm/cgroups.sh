#!/bin/sh
# cgroups.sh - part of inside.sh: a cgroup of version 2 that is delegated to
# the server, and one that is not
#
# They are mounted where nobody else would look for them.
cg='/tmp/control groups'

# cgroup_of PID, session_of PID
cgroup_of() {
	sed -n 's/^0:://p' "/proc/$1/cgroup"
}

session_of() {
	cut -d ' ' -f 6 "/proc/$1/stat"
}

# in_group GROUP USER: $tmp/usetl is the tool, there
in_group() {
	group=$1 user=$2
	cat >"$tmp/usetl" <<END
#!/bin/sh
echo \$\$ >"$cg/$group/cgroup.procs" || exit 1
exec su -s /bin/sh $user -c "exec /bin/usetl \$*"
END
	chmod 755 "$tmp/usetl"
}

# serve_in GROUP USER N: of so many functions, until all processes are up
serve_in() {
	in_group "$1" "$2"
	functions=$3
	usetl=$tmp/usetl
	serve_or_end -c "$tmp/usetl.conf"
	usetl=/bin/usetl
	settled "$functions"
}

# settled N: there are so many references, $refs, and with the tender and the
# guest of each three times as many processes, $all
settled() {
	await are_there "$1"
}

are_there() {
	refs=$(children "$serve_pid")
	all=$(tree "$serve_pid")
	test "$(echo "$refs" | wc -w) $(echo "$all" | wc -w)" = \
		"$1 $((3 * $1))"
}

# what cgroups there are below GROUP
made() {
	(cd "$cg/$1" && ls -d usetl-* 2>/dev/null)
}

two_made() {
	test "$(made service | wc -l)" = 2
}

# each_has_one NAME [FUNCTION...]: a cgroup, with all of its processes in it
each_has_one() {
	for r in $refs; do
		for p in $r $(tree "$r"); do
			cgroup_of "$p"
		done | sort -u
	done >"$tmp/cgroups"
	sed "s,^/service/usetl-$serve_pid\.,," "$tmp/cgroups" >"$tmp/names"
	is "$1: each function has a cgroup" \
		"$(sed 's/\.[0-9]*$//' "$tmp/names" | sort | tr '\n' ' ')" \
		"${2:-one two }"
	is "$1: the gateway has another" "$(cgroup_of "$serve_pid")" \
		"/service/usetl-$serve_pid.gateway"
}

# by_session NAME GROUP: nothing was changed
by_session() {
	is "$1: all are where they were" "$(for p in "$serve_pid" \
		$all; do cgroup_of "$p"; done | sort -u)" "/$2"
	is "$1: no cgroup is made" "$(made "$2")" ""
	is "$1: each function has a session" "$(for r in $refs; do
		for p in $r $(tree "$r"); do session_of "$p"; done | sort -u
	done | tr '\n' ' ')" "$(echo "$refs" | tr '\n' ' ')"
}

# none_left NAME: as it was given
none_left() {
	stop_serve
	is "$1: SIGTERM ends serve with 0" "$serve_status" 0
	is "$1: no cgroup is left" "$(made service)" ""
	is "$1: nothing is enabled any more" \
		"$(cat "$cg/service/cgroup.subtree_control")" ""
}

# configure TEXT: of usetl.conf, read again by the server there is.  Without
# the windows that it would make ready, it starts in a second; the guests are
# C programs, which have no runtime to share
configure() {
	printf '%s\n' '[fetch]' 'windows = 0' '[pool]' 'share = no' "$1" \
		>"$tmp/usetl.conf"
	test -z "$serve_pid" || kill -HUP "$serve_pid"
}

# note PATTERN TIMES: until the server has said so
note() {
	await said_times "$@"
}

# a_function NAME: of the configuration
a_function() {
	printf '%s\n' "[function $1]" "image = /guest/misc_traps-clone.usetl"
}

# check_in GROUP USER NAME PATTERN: what check says of shares there
check_in() {
	in_group "$1" "$2"
	"$tmp/usetl" check >"$tmp/check" 2>&1
	like "$3: usetl check says what shares there are" "$tmp/check" \
		"shares of the processors: $4"
}

as_root() {
	check_in service root "delegated to root" \
		"each function has one, by a cgroup below '$cg/service'"
	configure "$(a_function one)
$(a_function two)"
	serve_in service root 2
	each_has_one "delegated to root"
	is "delegated to root: all weigh the same" \
		"$(cat "$cg"/service/usetl-*/cpu.weight | tr '\n' ' ')" \
		"100 100 100 "
	before=$(made service)
	configure "$(a_function one)
pool.refresh = 100ms
$(a_function two)"
	note "'one': a new reference took over" 1
	configure "$(a_function one)
$(a_function two)"
	settled 2
	each_has_one "a reference is refreshed"
	is "a reference is refreshed: the cgroups are the same" \
		"$(made service)" "$before"
	configure "$(a_function one)
recycle = fork"
	note "'one' is ready" 2
	await two_made
	settled 1
	each_has_one "one is withdrawn, another replaced" "one "
}

# of a server that was killed, then by a user who was given the folder, as
# systemd does it
as_user() {
	kill -9 "$serve_pid"
	wait "$serve_pid" 2>/dev/null
	# shellcheck disable=SC2086
	ok "the server is killed: nobody is left" gone $all
	is "the server is killed: its cgroups are left" \
		"$(made service | wc -l)" 2
	for f in . cgroup.procs cgroup.subtree_control cgroup.threads; do
		chown nobody "$cg/service/$f"
	done
	serve_in service nobody 1
	each_has_one "delegated to a user" "one "
	is "delegated to a user: of a killed server nothing is left" \
		"$(made service | grep -vc "^usetl-$serve_pid\.")" 0
	none_left "delegated to a user"
}

not_delegated() {
	serve_in other nobody 1
	by_session "not delegated" other
	unlike "not delegated: nothing is said" "$tmp/serve.err" cgroup
	stop_serve
	check_in other nobody "not delegated" \
		"the cgroup '$cg/other' is not this user's to write; sessions"
}

crowded() {
	sleep 1000 &
	sleeper=$!
	echo $sleeper >"$cg/other/cgroup.procs"
	serve_in other root 1
	by_session "with others" other
	like "with others: why" "$tmp/serve.err" \
		"no cgroups of their own: in the cgroup '$cg/other' are other"
	stop_serve
	kill $sleeper
}

cgroups() {
	chmod 755 "$tmp"
	export USETL_TENDER=process
	mkdir "$cg"
	mount -t cgroup2 none "$cg"
	echo +cpu >"$cg/cgroup.subtree_control"
	mkdir "$cg/service" "$cg/other"
	as_root
	as_user
	not_delegated
	crowded
	unset USETL_TENDER
}
