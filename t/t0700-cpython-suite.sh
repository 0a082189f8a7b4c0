#!/bin/sh
# some of CPython's own tests in the guest: each that passes natively passes,
# but for those that want what a function does not have
. "$(dirname "$0")/lib.sh"
need_tender
need_python
"$python" -c 'import test.test_fileio, test.lock_tests' 2>/dev/null ||
	skip_all "no CPython tests beside $python (libpython3-testsuite)"
bake_or_end suite

modules="test_fileio test_select test_poll test_thread.LockTests
	test_thread.ThreadRunningTests test_thread.BarrierTest
	test_threadsignals test_threading_local test_mmap test_fcntl
	test_tempfile test_signal test_sched test_fileinput test_filecmp
	test_glob"
# shellcheck disable=SC2086
event=$(printf '"%s", ' $modules)
event="{\"names\": [${event%, }]}"

# Linux is the oracle; both mostly wait, so they do it together
mkdir "$tmp/cwd"
(cd "$tmp/cwd" && PYTHONPATH=$t/functions/suite exec "$python" -B -c '
import app, json, sys
json.dump(app.handler(json.loads(sys.argv[1])), open(sys.argv[2], "w"))
' "$event" "$tmp/native" >/dev/null 2>"$tmp/native.err") &
native_pid=$!
"$usetl" invoke -d "$event" "$tmp/suite.usetl" >"$tmp/guest" 2>"$tmp/err"
guest_status=$?
wait "$native_pid"
is "the suite runs natively" $? 0
if test "$guest_status" = 0; then
	pass "the suite runs in the guest"
else
	tail -n 20 "$tmp/err" >"$tmp/why"
	fail "the suite runs in the guest" "$tmp/why"
	plan
fi

# what a function does not have: dnotify, gigabytes, pidfds, the network
"$python" - "$tmp/native" "$tmp/guest" >"$tmp/out" <<'END'
import json
import os
import sys

LIMITS = {
    "test_fcntl.TestFcntl.test_fcntl_64_bit",
    "test_mmap.LargeMmapTests.test_around_2GB",
    "test_mmap.LargeMmapTests.test_around_4GB",
    "test_mmap.LargeMmapTests.test_large_offset",
    "test_mmap.LargeMmapTests.test_large_filesize",
    "test_signal.PidfdSignalTest.test_pidfd_send_signal",
    "test_signal.WakeupFDTests.test_invalid_socket",
    "test_signal.WakeupFDTests.test_set_wakeup_fd_socket_result",
}
if os.geteuid():                # whereas a function is root
    LIMITS |= {
        "test_tempfile.TestMkdtemp.test_read_only_directory",
        "test_tempfile.TestMkstempInner.test_read_only_directory",
    }
native, guest = (json.load(open(path)) for path in sys.argv[1:])
same = 0
for name, was in sorted(native.items()):
    now = guest.get(name, "was not run")
    if was == now:
        same += 1
    elif was == "ok" and name.partition(".")[2] not in LIMITS:
        print(f"{name}: {now}")
print(f"{same} agree")
END
unlike "no test that passes on Linux fails in the guest" "$tmp/out" ':'
like "some hundred tests agree with Linux" "$tmp/out" '^[3-9][0-9][0-9] agree$'
plan
