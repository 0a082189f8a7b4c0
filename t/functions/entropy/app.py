"""entropy - every generator of the interpreter's, made and used in warm-up.

drawn has what nobody gave a seed: no two requests may see the same of it, nor
one what warm-up saw.  seeded has what was given a seed, and inherited what a
child of fork(2) is meant to share with its parent: each request sees those as
warm-up left them.
"""

import email.generator
import email.utils
import multiprocessing.process
import os
import random
import secrets
import sqlite3
import ssl
import tempfile
import threading
import urllib.request
import uuid

try:
    import wheels
except ImportError as e:
    wheels = None
    missing = str(e)

SIZES = (16, 33, 5000)              # bytes


class Own(random.Random):
    """A generator of somebody's own, on top of that of random."""

    def seed(self, *args):
        super().seed(*args)


def names(rng):
    return "%014x" % rng.getrandbits(56)


def temporary():
    with tempfile.NamedTemporaryFile() as f:
        return f.name


def stream(f):
    """Of bytes: name of size -> how."""
    return {n: (lambda n=n: f(n)) for n in SIZES}


module_rng, own_rng, system_rng = random.Random(), Own(), random.SystemRandom()
late_rng = random.Random(1)
late_rng.seed()
twice_rng = random.Random()
twice_rng.seed(3)
database = sqlite3.connect(":memory:")
buffered = open("/dev/urandom", "rb")
large = open("/dev/random", "rb", buffering=65536)
plain = open("/dev/urandom", "rb", buffering=0)
digest = urllib.request.AbstractDigestAuthHandler()


def randomblob(n):
    return database.execute("select randomblob(?)", (n,)).fetchone()[0]


drawn = {
    "random.random": random.random,
    "random.randbytes": stream(random.randbytes),
    "random.getrandbits": lambda: random.getrandbits(128),
    "random.randint": lambda: random.randint(0, 1 << 80),
    "random.gauss": lambda: random.gauss(0, 1),
    "random.shuffle": lambda: str(random.sample(range(100), 30)),
    "random.choices": lambda: "".join(random.choices("abcdefgh", k=40)),
    "random.uniform": lambda: random.uniform(0, 1e9),
    "random.Random": module_rng.random,
    "random.Random.gauss": lambda: module_rng.gauss(0, 1),
    "random.Random.randbytes": stream(module_rng.randbytes),
    "random.Random, seeded by seed()": late_rng.random,
    "a subclass of random.Random": lambda: names(own_rng),
    "a method bound in warm-up": random.Random().random,
    "random.SystemRandom": lambda: names(system_rng),
    "random.SystemRandom.random": system_rng.random,
    "secrets.token_bytes": stream(secrets.token_bytes),
    "secrets.token_hex": secrets.token_hex,
    "secrets.token_urlsafe": secrets.token_urlsafe,
    "secrets.randbits": lambda: secrets.randbits(90),
    "secrets.randbelow": lambda: secrets.randbelow(1 << 90),
    "secrets.choice": lambda: "".join(secrets.choice("0123456789")
                                      for _ in range(30)),
    "os.urandom": stream(os.urandom),
    "os.getrandom": stream(os.getrandom),
    "os.getrandom, GRND_RANDOM": lambda: os.getrandom(16, os.GRND_RANDOM),
    "/dev/urandom, buffered": stream(buffered.read),
    "/dev/random, a large buffer": stream(large.read),
    "/dev/urandom, not buffered": stream(plain.read),
    "/proc/sys/kernel/random/uuid":
        lambda: open("/proc/sys/kernel/random/uuid").read(),
    "uuid.uuid1": lambda: uuid.uuid1().bytes,
    "uuid.uuid1 of a node": lambda: uuid.uuid1(node=1 << 40).bytes,
    "uuid.uuid4": lambda: uuid.uuid4().bytes,
    "ssl.RAND_bytes": stream(ssl.RAND_bytes),
    "email.generator": email.generator.Generator._make_boundary,
    "email.utils.make_msgid": lambda: email.utils.make_msgid(domain="x.org"),
    "urllib.request, cnonce": lambda: digest.get_cnonce("x"),
    "tempfile.mktemp": tempfile.mktemp,
    "tempfile.NamedTemporaryFile": temporary,
    "tempfile's names": lambda: next(tempfile._get_candidate_names()),
    "sqlite3, randomblob": stream(randomblob),
    "sqlite3, random": lambda: str(database.execute(
        "select random(), random()").fetchone()),
    "sqlite3, a new connection": lambda: sqlite3.connect(":memory:").execute(
        "select randomblob(16)").fetchone()[0],
}
try:
    import crypt                    # until Python 3.12
    drawn["crypt.mksalt"] = crypt.mksalt
except ImportError:
    pass
seeded_rng, seeded_own = random.Random(42), Own("seed")
restored = random.Random()
restored.setstate(random.Random(7).getstate())
seeded = {
    "random.Random(42)": seeded_rng.random,
    "random.Random(42).gauss": lambda: seeded_rng.gauss(0, 1),
    "a subclass of random.Random": seeded_own.random,
    "random.Random().seed(3)": twice_rng.random,
    "random.Random().setstate": restored.random,
}
inherited = {
    "multiprocessing, authkey":
        lambda: bytes(multiprocessing.process.current_process().authkey),
}
slow = {}
if wheels:
    drawn.update(wheels.drawn)
    seeded.update(wheels.seeded)
    slow.update(wheels.slow)


def text(value):
    """What can be compared: the first bytes tell two streams apart, and one
    stream is recognised although it is read in pieces of other sizes."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value[:32]).hex()
    return repr(value)


def draw(table):
    out = {}
    for name, how in table.items():
        if isinstance(how, dict):
            for n, f in how.items():
                out[f"{name}, {n} bytes"] = text(f())
        else:
            out[name] = text(how())
    return out


if os.environ.get("ENTROPY_SEED"):
    # is for the parent: random's own is seeded in each child of a fork
    random.seed(42)
if os.environ.get("ENTROPY_THREAD"):
    # no fork handlers run where another thread is alive
    threading.Thread(target=threading.Event().wait, daemon=True).start()
# an odd number of times: some make two values and keep the second
warm = [draw(drawn) for _ in range(3)] + [draw(slow)]
warm_seeded = draw(seeded)
started = os.getpid()


def handler(event, context):
    if event.get("warm"):
        return {"drawn": warm, "inherited": draw(inherited), "pid": started,
                "wheels": wheels.there if wheels else [],
                "missing": wheels.missing if wheels else [missing]}
    out = {"drawn": [draw(drawn)], "seeded": draw(seeded),
           "inherited": draw(inherited), "pid": os.getpid(),
           "tid": threading.get_native_id(),
           "nodes": [uuid.uuid1().node], "ppid": os.getppid(),
           "self": os.readlink("/proc/self"),
           "id": context.request_id}
    if wheels:
        out["nodes"] += [f() for f in wheels.nodes]
    if event.get("slow"):
        out["drawn"] += [draw(drawn), draw(slow)]
    return out
