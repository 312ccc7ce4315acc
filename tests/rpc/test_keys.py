"""Signing keys: forms, mounted folders, rotation without a restart, and the end of a key that is removed."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from libs.rpc import auth
from libs.rpc.auth import Caller, Keys, KeysUnusable, Tokens, Unauthenticated

ANN = Caller("ann", frozenset({"employee"}))


class Clock:
    """The seconds that `auth` reads."""

    def __init__(self) -> None:
        self.steady, self.wall = 1_000.0, 1_800_000_000.0

    def monotonic(self) -> float:
        return self.steady

    def time(self) -> float:
        return self.wall

    def time_ns(self) -> int:
        return int(self.wall * 1e9)

    def go(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(auth, "time", clock)
    return clock


def pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_of(token: str) -> str:
    return auth._key_id(token)


def mounted(folder: Path, number: int, keys: dict[str, bytes]) -> None:
    """Write keys as Kubernetes mounts a secret: links through `..data`, which is swapped whole."""
    content = folder / f"..{number}"
    content.mkdir(parents=True)
    for name, data in keys.items():
        (content / name).write_bytes(data)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(content.name)
    fresh.replace(folder / "..data")
    for link in folder.glob("*.pem"):
        if link.name not in keys:
            link.unlink()
    for name in keys:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def test_keys_as_pem_sign_by_the_name_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "2026-10.pem").write_bytes(pem())
    (tmp_path / "2026-11.pem").write_bytes(pem())
    (tmp_path / "README").write_text("not a key")
    token = Tokens(Keys(tmp_path, make=False)).sign(ANN)
    assert key_of(token) == "2026-11"
    assert Tokens(Keys(tmp_path, make=False)).check(token) == ANN


def test_a_public_key_checks_and_never_signs(tmp_path: Path) -> None:
    private = pem()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "k9.pem").write_bytes(private)
    public = load_pem_private_key(private, None).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "b" / "k9.pem").write_bytes(public)
    with pytest.raises(KeysUnusable, match="no key that signs"):
        Keys(tmp_path / "b", make=False)
    (tmp_path / "b" / "k1.pem").write_bytes(pem())
    tokens = Tokens(Keys(tmp_path / "b", make=False))
    assert tokens.check(Tokens(Keys(tmp_path / "a", make=False)).sign(ANN)) == ANN
    assert key_of(tokens.sign(ANN)) == "k1"


def test_a_folder_that_is_only_read_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match=str(tmp_path)):
        Keys(tmp_path, make=False)
    with pytest.raises(KeysUnusable, match="missing"):
        Keys(tmp_path / "missing", make=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "k.pem").write_bytes(pem())
    before = tmp_path.stat().st_mtime_ns
    os.chmod(tmp_path, 0o500)
    try:
        Tokens(Keys(tmp_path, make=False)).sign(ANN)
    finally:
        os.chmod(tmp_path, 0o700)
    assert tmp_path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("k.pem", b"nonsense", "damaged"),
        ("k.jwk", b"[]", "damaged"),
        ("k.jwk", b"{", "damaged"),
        ("k.pem", generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "k.pem"),
    ],
)
def test_what_is_no_key_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KeysUnusable, match=words):
        Keys(tmp_path)


def test_a_key_that_another_process_begins_to_sign_with_is_known_at_once(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "k1.pem").write_bytes(pem())
    here, there = Tokens(Keys(tmp_path, make=False)), Tokens(Keys(tmp_path, make=False))
    assert here.check(there.sign(ANN)) == ANN
    (tmp_path / "k2.pem").write_bytes(pem())
    clock.go(auth.LOOK_SECONDS)
    fresh = there.sign(Caller("bob"))
    assert key_of(fresh) == "k2"
    assert here.check(fresh) == Caller("bob")


def test_rotation_of_a_mounted_secret(tmp_path: Path, clock: Clock) -> None:
    first, second = pem(), pem()
    mounted(tmp_path, 1, {"k1.pem": first})
    tokens = Tokens(Keys(tmp_path, make=False))
    old = tokens.sign(ANN)
    mounted(tmp_path, 2, {"k1.pem": first, "k2.pem": second})
    clock.go(auth.REUSE_SECONDS)
    assert key_of(tokens.sign(ANN)) == "k2"
    assert tokens.check(old) == ANN
    mounted(tmp_path, 3, {"k2.pem": second})
    clock.go(auth.LOOK_SECONDS)
    with pytest.raises(Unauthenticated):
        tokens.check(old)
    assert tokens.check(tokens.sign(ANN)) == ANN


def test_other_content_under_the_same_name_is_another_key(tmp_path: Path, clock: Clock) -> None:
    mounted(tmp_path, 1, {"k.pem": pem()})
    tokens = Tokens(Keys(tmp_path, make=False))
    old = tokens.sign(ANN)
    assert tokens.check(old) == ANN
    mounted(tmp_path, 2, {"k.pem": pem()})
    clock.go(auth.LOOK_SECONDS)
    with pytest.raises(Unauthenticated):
        tokens.check(old)
    assert Tokens(Keys(tmp_path, make=False)).check(tokens.sign(ANN)) == ANN


def test_the_tokens_of_a_removed_key_end_though_they_were_checked_before(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "k1.pem").write_bytes(pem())
    (tmp_path / "k2.pem").write_bytes(pem())
    tokens = Tokens(Keys(tmp_path, make=False))
    token = tokens.sign(ANN)
    assert tokens.check(token) == ANN
    (tmp_path / "k2.pem").unlink()
    clock.go(auth.LOOK_SECONDS)
    with pytest.raises(Unauthenticated):
        tokens.check(token)
    assert key_of(tokens.sign(ANN)) == "k1", "nor is the token of the key reused"
    (tmp_path / "k1.pem").unlink()
    clock.go(auth.LOOK_SECONDS)
    with pytest.raises(KeysUnusable, match="any more"):
        tokens.sign(Caller("bob"))


def test_a_file_that_is_still_being_written_does_no_harm(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "k1.pem").write_bytes(pem())
    tokens = Tokens(Keys(tmp_path, make=False))
    whole = pem()
    (tmp_path / "k2.pem").write_bytes(whole[:40])
    clock.go(auth.LOOK_SECONDS)
    assert key_of(tokens.sign(ANN)) == "k1"
    (tmp_path / "k2.pem").write_bytes(whole)
    clock.go(auth.LOOK_SECONDS)
    assert key_of(tokens.sign(Caller("bob"))) == "k2"


def test_a_clock_that_is_set_back_keeps_no_token_alive(tmp_path: Path, clock: Clock) -> None:
    tokens = Tokens(Keys(tmp_path))
    first = tokens.sign(ANN)
    clock.steady += auth.REUSE_SECONDS
    clock.wall -= 3_600
    assert tokens.sign(ANN) != first
    clock.wall += 7_200
    fresh = tokens.sign(ANN)
    assert tokens.check(fresh) == ANN
    with pytest.raises(Unauthenticated):
        tokens.check(first)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "e30.e30.e30", "W10.e30.", "x" * 10_000, "eyJraWQiOjF9.e30.x", "ü.ü.ü", "[" * 3_000]
)
def test_nonsense_is_no_token(tmp_path: Path, token: str) -> None:
    with pytest.raises(Unauthenticated):
        Tokens(Keys(tmp_path)).check(token)
