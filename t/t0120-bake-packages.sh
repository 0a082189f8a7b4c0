#!/bin/sh
# what comes along with a function: folders, wheels, archives, a venv's
# distributions, environment, and what stays out
. "$(dirname "$0")/lib.sh"
need_tender
need_python

f=$tmp/src/packed
mkdir -p "$f/folder/in_folder" "$f/data" "$tmp/w"
cat >"$f/app.py" <<'END'
import os
import in_folder, in_wheel, in_zip, in_tar
import in_wheel.part


def handler(event, context):
    return {"from": [m.WHERE for m in (in_folder, in_wheel, in_zip, in_tar)],
            "part": in_wheel.part.WHERE,
            "colour": os.environ.get("COLOUR"),
            "path": os.environ.get("HOME"),
            "app": sorted(os.listdir("/app")),
            "data": sorted(os.listdir("/app/data"))}
END
cat >"$f/function.ini" <<'END'
[function]
name = packed
handler = app.handler
exclude = *.secret folder *.whl *.zip *.tar.gz

[packages]
path = folder
path = in_wheel-1.0-py3-none-any.whl
path = in.zip
path = in.tar.gz

[environment]
COLOUR = light blue
END
echo x >"$f/data/kept.txt"
echo x >"$f/data/not.secret"
echo 'WHERE = "folder"' >"$f/folder/in_folder/__init__.py"
"$python" - "$f" <<'END'
import io, sys, tarfile, zipfile
f = sys.argv[1]
with zipfile.ZipFile(f + "/in_wheel-1.0-py3-none-any.whl", "w") as z:
    z.writestr("in_wheel/__init__.py", 'WHERE = "wheel"\n')
    z.writestr("in_wheel-1.0.data/purelib/in_wheel/part.py",
               'WHERE = "purelib"\n')
    z.writestr("in_wheel-1.0.dist-info/METADATA",
               "Metadata-Version: 2.1\nName: in_wheel\nVersion: 1.0\n")
    z.writestr("in_wheel-1.0.dist-info/WHEEL",
               "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
    z.writestr("in_wheel-1.0.dist-info/RECORD", "")
with zipfile.ZipFile(f + "/in.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("in_zip.py", 'WHERE = "zip"\n')
with tarfile.open(f + "/in.tar.gz", "w:gz") as t:
    data = b'WHERE = "tar"\n'
    info = tarfile.TarInfo("in_tar.py")
    info.size = len(data)
    t.addfile(info, io.BytesIO(data))
END
ok "bake with packages" "$usetl" bake -o "$tmp/packed.usetl" "$f"
test -e "$tmp/packed.usetl" || plan
ok "a function with packages runs" invoke packed '{}'
is "modules of a folder, a wheel, a zip, a tar" "$(json 'd["from"]')" \
	'["folder", "wheel", "zip", "tar"]'
is "a wheel's purelib is where pip would put it" "$(json 'd["part"]')" \
	'"purelib"'
is "environment" "$(json 'd["colour"]')" '"light blue"'
is "what is excluded stays out" "$(json 'd["data"]')" '["kept.txt"]'
is "what is excluded of the function's folder stays out" \
	"$(json '"folder" in d["app"]')" false

# an archive that leaves its folder is refused
"$python" - "$f" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/in.zip", "w") as z:
    z.writestr("../../../tmp/escaped.py", "")
END
fails "an archive with ../ in it" 1 "$usetl" bake --no-check \
	-o "$tmp/x.usetl" "$f"
like "an archive with ../ in it: it is named" "$tmp/err" 'in\.zip'
echo 'not a zip' >"$f/in.zip"
fails "a zip that is none" 1 "$usetl" bake --no-check -o "$tmp/x.usetl" "$f"

# a virtual environment as the runtime, and a distribution of it
if "$python" -m venv --without-pip "$tmp/venv" >/dev/null 2>&1; then
	site=$("$tmp/venv/bin/python" -c 'import sysconfig
print(sysconfig.get_path("purelib"))')
	mkdir -p "$site/needed-1.0.dist-info" "$site/asked-2.0.dist-info"
	echo 'import needed; WHERE = "asked " + needed.WHERE' \
		>"$site/asked.py"
	echo 'WHERE = "needed"' >"$site/needed.py"
	echo 'WHERE = "nobody asked"' >"$site/other.py"
	printf 'Metadata-Version: 2.1\nName: asked\nVersion: 2.0\n%s\n%s\n' \
		'Requires-Dist: needed>=1' \
		'Requires-Dist: absent; python_version < "3"' \
		>"$site/asked-2.0.dist-info/METADATA"
	printf 'asked.py,,\nasked-2.0.dist-info/METADATA,,\n' \
		>"$site/asked-2.0.dist-info/RECORD"
	printf 'Metadata-Version: 2.1\nName: needed\nVersion: 1.0\n' \
		>"$site/needed-1.0.dist-info/METADATA"
	printf 'needed.py,,\nneeded-1.0.dist-info/METADATA,,\n' \
		>"$site/needed-1.0.dist-info/RECORD"
	mkdir -p "$tmp/src/venv"
	cat >"$tmp/src/venv/app.py" <<'END'
import asked, importlib.metadata, importlib.util


def handler(event, context):
    return [asked.WHERE, importlib.util.find_spec("other") is None,
            importlib.metadata.version("needed")]
END
	cat >"$tmp/src/venv/function.ini" <<END
[function]
name = venv
handler = app.handler
runtime = $tmp/venv/bin/python
[packages]
installed = asked
END
	ok "bake with a venv" "$usetl" bake -o "$tmp/venv.usetl" \
		"$tmp/src/venv"
	invoke venv '{}'
	is "a distribution, what it requires, nothing else" "$(json d)" \
		'["asked needed", true, "1.0"]'
	echo 'requirements = req.txt' >>"$tmp/src/venv/function.ini"
	echo six >"$tmp/src/venv/req.txt"
	fails "requirements without pip" 1 "$usetl" bake --no-check \
		-o "$tmp/x.usetl" "$tmp/src/venv"
	like "requirements without pip: what is said" "$tmp/err" 'pip'
else
	skip "a venv" "$python cannot make one"
fi
plan
