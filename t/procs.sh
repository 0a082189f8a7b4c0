# procs.sh - part of lib.sh: the processes of a server, seen from outside

# children PID...: of all of them, a line each; 1 when there are none
children() {
	some=1
	for p; do
		kids=
		# no line end is in there, so that read fails
		read -r kids <"/proc/$p/task/$p/children" || :
		for kid in $kids; do
			echo "$kid"
			some=0
		done
	done 2>/dev/null
	return $some
}

# state PID: its letter, and its name in $comm; both empty where it has gone
state() {
	state=
	read -r state <"/proc/$1/stat" || :
	comm=${state#*(}
	comm=${comm%)*}
	state=${state##*) }
	state=${state%"${state#?}"}
} 2>/dev/null

# tree PID: all processes under a server: bases, references, clones, guests
tree() {
	# shellcheck disable=SC2046
	set -- $(children "$1")
	echo "$@"
	# shellcheck disable=SC2046
	set -- $(children "$@")
	echo "$@"
	# shellcheck disable=SC2046
	set -- $(children "$@")
	echo "$@"
	# shellcheck disable=SC2046
	set -- $(children "$@")
	echo "$@"
}

# processes NAME: those under $serve_pid that live and have this name, a line
# each
processes() {
	for p in $(tree "$serve_pid"); do
		state "$p"
		case $comm:$state in
		"$1:"[!ZX]*) echo "$p" ;;
		esac
	done
}

# process NAME: the first of them, once there is one
process() {
	await a_process "$1"
	echo "$found"
}

a_process() {
	found=$(processes "$1" | head -n 1)
	test -n "$found"
}

# next_process NAME PID: once there is one of this name that is not that one,
# as one that was killed is there until its parent has looked; in $found
next_process() {
	await another_process "$@"
}

another_process() {
	found=$(processes "$1" | grep -vx "$2" | head -n 1)
	test -n "$found"
}

# gone PID...: soon none of them is there, or only its exit status is
gone() {
	await all_gone "$@" && return
	# shellcheck disable=SC2086
	ps -o pid,ppid,stat,comm -p "$(echo $left | tr ' ' ,)"
	return 1
}

all_gone() {
	left=
	for p; do
		state "$p"
		case $state in
		'' | [ZX]) ;;
		*) left="$left $p" ;;
		esac
	done
	test -z "$left"
}

# idle PID: soon, no process under a server runs, ten looks in a row of a second
idle() {
	looks=0
	await idle_ten_times "$1" && return
	# shellcheck disable=SC2086
	ps -o pid,ppid,stat,comm,wchan -p "$(echo $running | tr ' ' ,)"
	return 1
}

idle_ten_times() {
	running=
	sleep 0.1
	for p in $(tree "$1"); do
		state "$p"
		test "$state" != R || running="$running $p"
	done
	looks=$((looks + 1))
	test -z "$running" || looks=0
	test $looks -ge 10
}
