# procs.sh - part of lib.sh: the processes of a server, seen from outside

# children PID...: of all of them
children() {
	for p; do
		cat "/proc/$p/task/$p/children" 2>/dev/null
	done | tr ' ' '\n' | grep .
}

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
		awk -v name="$1" '/^Name:/ { named = $2 == name }
			/^State:/ { lives = $2 !~ /[ZX]/ }
			END { exit !(named && lives) }
		' "/proc/$p/status" 2>/dev/null && echo "$p"
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
		grep -qs '^State:.[^ZX]' "/proc/$p/status" && left="$left $p"
	done
	test -z "$left"
}

# idle PID: soon, no process under a server runs, ten looks in a row
idle() {
	looks=0
	await idle_ten_times "$1" && return
	# shellcheck disable=SC2086
	ps -o pid,ppid,stat,comm,wchan -p "$(echo $running | tr ' ' ,)"
	return 1
}

idle_ten_times() {
	running=
	for p in $(tree "$1"); do
		grep -qs '^State:.R' "/proc/$p/status" &&
			running="$running $p"
	done
	looks=$((looks + 1))
	test -z "$running" || looks=0
	test $looks -ge 10
}
