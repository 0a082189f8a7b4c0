#!/bin/sh
# layers that were made before: what is not made again, what is, and that the
# image is the same as without a store in any case
. "$(dirname "$0")/lib.sh"
need_usetl
need_python

store=$tmp/store
ran=$tmp/ran

# an interpreter of the script's own, which may be changed and says what it is
# run for, and a pip that is none
py=$tmp/py/bin/python3
"$python" - "$tmp/py" <<'END' || skip_all "$python cannot be copied"
import os, shutil, sys
to, name = sys.argv[1], "python%d.%d" % sys.version_info[:2]
lib = os.path.dirname(os.__file__)
os.makedirs(to + "/bin")
shutil.copy(os.path.realpath(sys.executable), to + "/bin/python3")
shutil.copytree(lib, to + "/lib/" + name, symlinks=False,
                ignore=shutil.ignore_patterns(
                    "__pycache__", "test", "tests", "idlelib", "config-*",
                    "site-packages", "dist-packages", "sitecustomize.py",
                    "asyncio", "distutils", "lib2to3", "multiprocessing",
                    "unittest", "pydoc_data", "xml*", "sqlite3", "curses",
                    "dbm", "wsgiref", "tkinter", "http", "ensurepip"))
END
lib=$("$py" -I -c 'import os; print(os.path.dirname(os.__file__))' 2>"$tmp/err")
case $lib in
"$tmp"/py/lib/*) ;;
*) skip_all "a copy of $python does not find its own library" ;;
esac
mkdir "$lib/site-packages"
site=$("$py" -I -c 'import sys; print([p for p in sys.path
    if p.endswith("-packages")][0])' 2>"$tmp/err")
# Debian's interpreters have their packages elsewhere
test -n "$site" || site=$lib/dist-packages
mkdir -p "$site/pip"
: >"$site/pip/__init__.py"
cat >"$site/pip/__main__.py" <<END
import os, sys
to = sys.argv[sys.argv.index("--target") + 1]
os.mkdir(to + "/asked")
with open(to + "/asked/__init__.py", "w") as f:
    f.write("INDEX = %r\n" % os.environ.get("PIP_INDEX_URL"))
END
cat >"$site/says.pth" <<END
import sys; open("$ran", "a").write(" ".join(sys.argv[1:2]) + "\n")
END
# it starts faster
"$py" -I -m compileall -q "$lib" >/dev/null 2>&1
"$py" -I -c 'import pip' 2>"$tmp/err" || skip_all "no place for a pip"

f=$tmp/src/kept
mkdir -p "$f" "$tmp/home"
cat >"$f/app.py" <<'END'
import asked


def handler(event, context):
    return 1
END
echo 'asked==1' >"$f/req.txt"
cat >"$f/function.ini" <<END
[function]
name = kept
handler = app.handler
runtime = $py
exclude = *.secret /etc/nothing
[packages]
path = more
requirements = req.txt
END
mkdir -p "$f/more/extra"
echo 'X = 1' >"$f/more/extra/__init__.py"
: >"$f/more/extra/x.secret"
HOME=$tmp/home
export HOME
unset PIP_INDEX_URL PIP_FIND_LINKS PIP_CONFIG_FILE

# without a store, into $tmp/new.usetl
anew() {
	"$usetl" bake --no-check --no-store -o "$tmp/new.usetl" "$f" \
		>"$tmp/new.out" 2>"$tmp/new.err"
}

# with it, into $tmp/kept.usetl; what the interpreter did is in $ran
baked() {
	rm -f "$ran"
	"$usetl" bake --no-check --store "$store" -o "$tmp/kept.usetl" "$f" \
		>"$tmp/out" 2>"$tmp/err"
}

# how often the interpreter was run for it
runs() {
	grep -c "^$1\$" "$ran"
}

# same NAME PIP COMPILED: as without a store, byte for byte, with the same
# warnings; pip ran that often, and so many layers were compiled
same() {
	if ! baked; then
		fail "$1" "$tmp/err"
		return
	fi
	looked=$(runs installed)
	did="pip $(runs install), compiled $(runs compile)"
	test -n "${4:-}" || anew
	# a slow machine hears of progress, too
	grep -v -e '^usetl bake: warning: store: ' -e ' s so far, ' "$tmp/err" \
		>"$tmp/said"
	grep -v ' s so far, ' "$tmp/new.err" >"$tmp/new.said"
	{
		cmp "$tmp/kept.usetl" "$tmp/new.usetl"
		diff "$tmp/said" "$tmp/new.said"
	} >"$tmp/why" 2>&1
	is "$1" "$did, differs: $(cat "$tmp/why")" \
		"pip $2, compiled $3, differs: "
}

# still NAME: nothing changed since the last `same`; all is from the store
still() {
	same "$1" 0 1 still
}

# warned NAME PATTERN: one line about the store
warned() {
	grep '^usetl bake: warning: store: ' "$tmp/err" >"$tmp/warned"
	is "$1: one warning" "$(wc -l <"$tmp/warned")" 1
	like "$1: what is said" "$tmp/warned" "$2"
}

# the layers of kept.usetl that were in the store: their files' inodes stay
layers() {
	ls -i "$store/layers" | sort
}

# what changed shortly before is in doubt; all times of files here are older
old() {
	sleep 3
}


same "what was changed a moment ago" 1 3
is "what was changed a moment ago is not kept" "$(ls "$store/layers")" ""
old
same "the first bake" 1 3
is "the first bake keeps two layers" "$(ls "$store/layers" | wc -l)" 2
first=$(layers)
still "nothing changed"
echo '# changed' >>"$f/app.py"
same "one changed line: no pip, and the function alone is compiled" 0 1
is "one changed line: no layer was written" "$(layers)" "$first"
like "a pattern that leaves nothing out is said again" "$tmp/err" \
	"'/etc/nothing' leaves nothing out"
unlike "a pattern that a kept layer used is not" "$tmp/err" "secret"

# --- what packages are made from

echo 'asked==2' >"$f/req.txt"
same "requirements changed" 1 2
still "requirements changed: and are kept"
echo 'asked==1' >"$f/req.txt"
same "requirements as they were before" 0 1
printf 'asked==1\n-r other.txt\n' >"$f/req.txt"
echo 'another' >"$f/other.txt"
same "requirements that name a file" 1 2
echo 'another==2' >"$f/other.txt"
same "requirements that name a file, which changed" 1 2
still "requirements that name a file: kept"
for line in ./here 'asked @ file:///here' '-e here' 'asked==${VERSION}' \
	'git+https://example.org/asked' asked.whl '--index-url /here' \
	'# comment \'; do
	printf 'asked==1\n%s\nasked\n' "$line" >"$f/req.txt"
	baked
	baked
	is "requirements in doubt: $line" "$(runs install)" 1
done
echo 'asked==1' >"$f/req.txt"
same "requirements out of doubt" 0 1

PIP_INDEX_URL=http://127.0.0.1:1/one
export PIP_INDEX_URL
same "another index" 1 2
still "another index: kept"
unset PIP_INDEX_URL
same "no index again" 0 1
mkdir -p "$HOME/.config/pip"
printf '[global]\nindex-url = http://127.0.0.1:1/two\n' \
	>"$HOME/.config/pip/pip.conf"
same "an index in pip.conf" 1 2
still "an index in pip.conf: kept"
printf '[global]\nfind-links =\n  /here\n' >"$HOME/.config/pip/pip.conf"
baked
baked
is "links in pip.conf: in doubt" "$(runs install)" 1
rm "$HOME/.config/pip/pip.conf"
mkdir "$tmp/links"
PIP_FIND_LINKS=$tmp/links
export PIP_FIND_LINKS
old
same "a folder of archives" 1 2
still "a folder of archives: kept"
: >"$tmp/links/asked-1.tar.gz"
same "a folder of archives with one more" 1 2
unset PIP_FIND_LINKS
LD_LIBRARY_PATH=$tmp baked
is "another way to libraries: in doubt" \
	"$(runs install) $(runs compile)" "1 3"
same "none of that" 0 1

# rewrite FILE: in place, as long as it was, with the time that it had
rewrite() {
	"$python" - "$1" <<'END'
import os, sys
st = os.stat(sys.argv[1])
with open(sys.argv[1], "r+b") as f:
    text = f.read()
    f.seek(0)
    f.write(text.replace(b"1", b"2", 1).replace(b"Zen", b"zen", 1))
os.utime(sys.argv[1], ns=(st.st_atime_ns, st.st_mtime_ns))
END
}
rewrite "$f/more/extra/__init__.py"
like "a rewritten file is another" "$f/more/extra/__init__.py" 'X = 2'
same "a package's file written in place, its time set back" 1 2
old
same "a package's file written in place, once more" 1 2
still "a package's file written in place: kept"
echo 'Y = 1' >"$f/more/extra/late.py"
same "a package has one file more" 1 2
rm "$f/more/extra/late.py"
old
same "a package has one file less" 1 2
sed -i 's/^exclude .*/exclude = *.none/' "$f/function.ini"
same "other patterns" 1 3
like "other patterns: what they do not do is said" "$tmp/err" \
	"'\*.none' leaves nothing out"

# --- what the runtime is made from

rewrite "$lib/this.py"
same "the library written in place, its time set back" 1 3
old
same "the library written in place, once more" 1 3
still "the library written in place: kept"
touch "$py"
old
same "the interpreter touched" 1 3
still "the interpreter touched: kept"
echo 'import sys' >"$site/other.pth"
old
# its digest is as it was
same "what the interpreter runs at its start" 1 3
still "what the interpreter runs at its start: kept"
USETL=$usetl
cp "$usetl" "$tmp/usetl"
# another build is one with another build-id: its note's name, and then it
"$python" - "$tmp/usetl" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    at = f.read().index(b"\3\0\0\0GNU\0") + 8
    f.seek(at)
    f.write(b"another")
END
usetl=$tmp/usetl
same "another usetl" 1 3
usetl=$USETL
same "the same usetl again" 0 1

# --- installed packages

mkdir -p "$site/thing-1.dist-info" "$tmp/src/with"
echo 'W = 1' >"$site/thing.py"
printf 'Metadata-Version: 2.1\nName: thing\nVersion: 1\n' \
	>"$site/thing-1.dist-info/METADATA"
printf 'thing.py,,\nlate.py,,\nthing-1.dist-info/METADATA,,\n' \
	>"$site/thing-1.dist-info/RECORD"
one=$f
f=$tmp/src/with
echo 'def handler(event, context): return 1' >"$f/app.py"
cat >"$f/function.ini" <<END
[function]
name = with
handler = app.handler
runtime = $py
[packages]
installed = thing
END
old
same "an installed package" 0 3
still "an installed package: kept"
is "an installed package: nobody looked it up" "$looked" 0
mkdir "$site/none-1.dist-info"
old
same "another package" 0 3
still "another package: kept"
printf 'Metadata-Version: 2.1\nName: thinG\nVersion: 1\n' \
	>"$site/thing-1.dist-info/METADATA"
old
same "its metadata changed" 0 2
echo 'L = 1' >"$site/late.py"
old
same "a file that it names is there now" 0 3
still "a file that it names is there now: kept"
f=$one

# --- a store in no good state

damage() {
	"$python" - "$@" <<'END'
import os, sys
what, names = sys.argv[1], sys.argv[2:]
for name in names:
    with open(name, "r+b") as f:
        size = os.stat(name).st_size
        if what == "short":
            f.truncate(size - 4096 if size > 8192 else 10)
        else:
            f.seek(size // 2)
            byte = f.read(1)
            f.seek(size // 2)
            f.write(bytes([byte[0] ^ 1]))
END
}
rm -rf "$store"
same "an empty store" 1 3
for what in short changed; do
	damage $what "$store"/layers/*
	fails "verify: layers $what" 1 "$usetl" store --store "$store" verify
	is "verify: layers $what: each is named" \
		"$(grep -c '^sha256-.*digest$' "$tmp/out")" 2
	same "layers $what" 1 3
	warned "layers $what" 'layer [0-9a-f]{12} was (cut short|changed)$'
	still "layers $what: made anew"
	ok "verify: made anew" "$usetl" store --store "$store" verify
	damage $what "$store"/keys/*
	fails "verify: keys $what" 1 "$usetl" store --store "$store" verify
	same "keys $what" 1 3
	warned "keys $what" 'was cut short or changed$'
	still "keys $what: made anew"
done

if test "$(id -u)" = 0; then
	chown 1 "$store"/layers/*
	same "layers of another user" 1 3
	warned "layers of another user" 'belongs to another user$'
	chown 0 "$store"/layers/*
	chown 1 "$store/keys"
	same "a folder of another user" 1 3
	warned "a folder of another user" 'belongs to another user$'
	chown 0 "$store/keys"
else
	skip "another user's files" "not root"
fi
chmod g+w "$store"/layers/*
same "layers that others may write" 1 3
warned "layers that others may write" 'can be written by others$'
rm -rf "$store"
: >"$store"
same "a store that is a file" 1 3
warned "a store that is a file" 'Not a directory'
rm "$store"

mkdir "$store"
if mount -t tmpfs -o size=2m,mode=700 none "$store" 2>"$tmp/err"; then
	same "a full store" 1 3
	warned "a full store" 'No space left on device'
	is "a full store: nothing is left in it" \
		"$(find "$store" -type f | wc -l)" 0
	mount -o remount,size=500m "$store"
	same "a store with room" 1 3
	mount -o remount,ro "$store"
	same "a read-only store" 0 1
	unlike "a read-only store: nothing to say" "$tmp/err" 'store:'
	echo 'asked==3' >"$f/req.txt"
	same "a read-only store: what it does not have" 1 2
	warned "a read-only store" 'Read-only file system'
	echo 'asked==1' >"$f/req.txt"
	umount "$store"
else
	skip "a full and a read-only store" "no tmpfs can be mounted"
fi

# --- killed, and two at once

writing() {
	ls -A "$store/layers" 2>/dev/null | grep -q '^\.'
}
killed=
for i in 1 2 3 4 5; do
	rm -rf "$store"
	"$usetl" bake --no-check --store "$store" -o "$tmp/kept.usetl" "$f" \
		>"$tmp/out" 2>"$tmp/err" &
	baker=$!
	until writing || ! kill -0 $baker 2>/dev/null; do :; done
	kill -9 $baker 2>/dev/null
	wait $baker 2>/dev/null
	writing && killed=1 && break
done
if test -n "$killed"; then
	same "killed while it wrote" 1 3
	still "killed while it wrote: kept since"
	ok "killed while it wrote: verify" \
		"$usetl" store --store "$store" verify
	find "$store/layers" -name '.*' -type f -exec touch -d '2 days ago' {} +
	ok "gc" "$usetl" store --store "$store" gc
	is "gc removes what was left over" \
		"$(ls -A "$store/layers" | grep -c '^\.')" 0
	same "gc removes nothing else" 0 1
else
	skip "killed while it wrote" "it was never caught at it"
fi
rm -rf "$store"
for i in 1 2; do
	"$usetl" bake --no-check --store "$store" -o "$tmp/at$i.usetl" "$f" \
		>"$tmp/at$i.out" 2>"$tmp/at$i.err" &
	eval "at$i=\$!"
done
wait $at1
one=$?
wait $at2
is "two at once: both are baked" "$one $?" "0 0"
anew
ok "two at once: the first" cmp "$tmp/at1.usetl" "$tmp/new.usetl"
ok "two at once: the second" cmp "$tmp/at2.usetl" "$tmp/new.usetl"
still "two at once: kept"

# --- by command

ok "list" "$usetl" store --store "$store" list
is "list: a line for each layer" "$(awk '{ print $1 }' "$tmp/out" | sort |
	tr '\n' ' ')" "packages runtime "
ok "gc by age" "$usetl" store --store "$store" --age 0 gc
like "gc by age: what it did" "$tmp/out" '^removed 2 layers, 0 snapshots, '
is "gc by age: all is gone" "$(find "$store" -type f | wc -l)" 0
same "after that" 1 3
cp "$tmp/new.usetl" "$tmp/cached.usetl"
find "$lib" -name __pycache__ -exec rm -r {} +
anew
ok "an interpreter that has to compile what it runs: the same bytes" \
	cmp "$tmp/new.usetl" "$tmp/cached.usetl"
fails "an age that is none" 2 "$usetl" store --age 1d gc
fails "an age for list" 2 "$usetl" store --age 1 list
fails "a command that is none" 2 "$usetl" store lost
like "says where those are that there are" "$tmp/err" \
	"unknown command 'lost'; see .usetl help store."
fails "no command" 2 "$usetl" store
is "no command: what is missing, before the usage" "$(sed 2q "$tmp/err")" \
	"usetl store: which command?
usage: usetl store [OPTION]... COMMAND"
fails "two commands" 2 "$usetl" store list gc
like "two commands: what is said" "$tmp/err" '^usetl store: one command'
fails "a store that is not there" 1 "$usetl" store --store "$tmp/no" list
ok "the user's own store, when there is none yet" "$usetl" store list
plan
