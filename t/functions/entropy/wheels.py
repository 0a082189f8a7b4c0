"""Generators of packages that are not Debian's, of those that are there."""

import importlib
import os

drawn, seeded, slow = {}, {}, {}    # as in app.py; slow: in some requests
nodes, there, missing = [], [], []


def package(make):
    """make's name is a package's: what it offers, when that is there."""
    try:
        importlib.import_module(make.__name__)
    except ImportError as e:
        missing.append(f"{make.__name__}: {e}")
        return
    there.append(make.__name__)
    make()


@package
def cryptography():
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.asymmetric import (
        ec, ed25519, ed448, rsa, x25519, x448)
    from cryptography.hazmat.primitives.ciphers import aead
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption, Encoding, PrivateFormat)

    for kind in (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey,
                 x25519.X25519PrivateKey, x448.X448PrivateKey):
        drawn[f"cryptography, {kind.__name__}"] = (
            lambda kind=kind: kind.generate().private_bytes_raw())
    for curve in (ec.SECP256R1(), ec.SECP521R1()):
        drawn[f"cryptography, {curve.name}"] = (
            lambda curve=curve: hex(ec.generate_private_key(curve)
                                    .private_numbers().private_value))
    key = ec.generate_private_key(ec.SECP256R1())
    drawn["cryptography, a signature"] = (
        lambda: key.sign(b"same", ec.ECDSA(SHA256()))[4:])
    drawn["cryptography, Fernet.generate_key"] = Fernet.generate_key
    fernet = Fernet(Fernet.generate_key())
    drawn["cryptography, Fernet.encrypt"] = (
        lambda: fernet.encrypt(b"same")[20:])
    for kind in (aead.AESGCM, aead.AESCCM, aead.AESSIV):
        drawn[f"cryptography, {kind.__name__}"] = (
            lambda kind=kind: kind.generate_key(256))
    drawn["cryptography, ChaCha20Poly1305"] = (
        aead.ChaCha20Poly1305.generate_key)
    drawn["cryptography, an encrypted key"] = lambda: key.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))[-64:]
    slow["cryptography, RSA"] = lambda: hex(rsa.generate_private_key(
        65537, 1024).private_numbers().p)


@package
def nacl():
    import nacl.public
    import nacl.secret
    import nacl.signing
    import nacl.utils

    drawn["nacl, random"] = {n: (lambda n=n: nacl.utils.random(n))
                             for n in (16, 512, 5000)}
    drawn["nacl, PrivateKey"] = lambda: bytes(
        nacl.public.PrivateKey.generate())
    drawn["nacl, SigningKey"] = lambda: bytes(
        nacl.signing.SigningKey.generate())
    box = nacl.secret.SecretBox(nacl.utils.random(32))
    drawn["nacl, a nonce"] = lambda: bytes(box.encrypt(b"same").nonce)
    drawn["nacl, SealedBox"] = lambda: nacl.public.SealedBox(
        nacl.public.PrivateKey(b"1" * 32).public_key).encrypt(b"same")


@package
def numpy():
    import numpy
    from numpy import random as r

    asked = os.environ.get("ENTROPY_SEED")
    if asked:
        r.seed(int(asked) if asked != "none" else None)
    table = seeded if asked and asked != "none" else drawn
    table["numpy, random.random"] = r.random
    table["numpy, random.normal"] = r.normal
    table["numpy, random.bytes"] = lambda: r.bytes(16)
    table["numpy, random.permutation"] = (
        lambda: str(r.permutation(100)[:30].tolist()))

    made = {"default_rng": r.default_rng()}
    spawning = r.default_rng()
    for i, child in enumerate(spawning.spawn(2)):
        made[f"spawned, {i}"] = child
    for kind in (r.PCG64, r.PCG64DXSM, r.MT19937, r.Philox, r.SFC64):
        made[kind.__name__] = r.Generator(kind())
        given = r.Generator(kind(42))
        seeded[f"numpy, {kind.__name__}(42)"] = given.random
        seeded[f"numpy, {kind.__name__}(42), normal"] = given.normal
    for name, rng in made.items():
        drawn[f"numpy, {name}"] = rng.random
        drawn[f"numpy, {name}, normal"] = rng.normal
        # half of a word is kept for the next
        drawn[f"numpy, {name}, 32 bits"] = lambda rng=rng: str(
            rng.integers(0, 1 << 32, 3, dtype=numpy.uint32).tolist())
    drawn["numpy, what is spawned of one of warm-up"] = (
        lambda: spawning.spawn(1)[0].random())
    sequence = r.SeedSequence()
    drawn["numpy, what a SeedSequence spawns"] = (
        lambda: str(sequence.spawn(1)[0].generate_state(4).tolist()))

    legacy, wrapped = r.RandomState(), r.RandomState(r.PCG64())
    for name, rng in (("RandomState", legacy),
                      ("RandomState on PCG64", wrapped)):
        drawn[f"numpy, {name}"] = rng.random_sample
        drawn[f"numpy, {name}, normal"] = rng.standard_normal
    given = r.RandomState(42)
    seeded["numpy, RandomState(42)"] = given.random_sample
    seeded["numpy, RandomState(42), normal"] = given.standard_normal
    given_rng = r.default_rng(42)
    seeded["numpy, default_rng(42)"] = given_rng.random
    seeded["numpy, default_rng(42), spawned"] = given_rng.spawn(1)[0].random
    seeded["numpy, SeedSequence([1, 2])"] = r.default_rng(
        r.SeedSequence([1, 2])).random


@package
def uuid_utils():
    import uuid_utils

    for name in ("uuid1", "uuid4", "uuid6", "uuid7"):
        drawn[f"uuid_utils, {name}"] = (
            lambda f=getattr(uuid_utils, name): f().bytes)
    nodes.append(lambda: uuid_utils.uuid1().node)
    nodes.append(lambda: uuid_utils.uuid6().node)
    drawn["uuid_utils, uuid1 of a node"] = (
        lambda: uuid_utils.uuid1(node=1 << 40).bytes)


@package
def grpc():
    """What BoringSSL draws has no way into Python but a handshake."""
    import ctypes
    import grpc._cython.cygrpc

    library = ctypes.CDLL(grpc._cython.cygrpc.__file__)
    if not hasattr(library, "RAND_bytes"):
        missing.append("grpc: RAND_bytes is not exported")
        return

    def rand_bytes(n):
        buf = ctypes.create_string_buffer(n)
        assert library.RAND_bytes(buf, ctypes.c_size_t(n)) == 1
        return buf.raw

    drawn["grpc, RAND_bytes"] = {n: (lambda n=n: rand_bytes(n))
                                 for n in (16, 512, 5000)}
