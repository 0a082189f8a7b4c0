#!/bin/sh
# the bench's figures: tables, plots and the page, of values made up
. "$(dirname "$0")/lib.sh"
need_python
merge "bench_test.py" "$python" -B "$t/python/bench_test.py"
plan
