"""TLS between services: whom a client believes, whom a server lets in, and certificates that change while they are used."""
from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from libs.rpc.auth import Keys, Tokens
from libs.rpc.client import NetworkChannel
from libs.rpc.server import NetworkServer
from libs.rpc.tls import Tls, TlsUnusable
from libs.telemetry import metrics
from tests.rpc.house import House, add, eventually
from watercooler.feed.v1 import feed_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub

GET = pb.GetPostRequest(post_id="p")


class Authority(NamedTuple):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _certificate("authority", key, "authority", key, authority=True))

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def issue(self, folder: Path, name: str, days: int = 30) -> Tls:
        """Write a certificate and its key, in place of those before."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, "authority", self.key, days=days)
        folder.mkdir(exist_ok=True)
        for file, content in (
            ("tls.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
            ("tls.crt", certificate.public_bytes(Encoding.PEM)),
        ):
            fresh = folder / f"{file}.new"
            fresh.write_bytes(content)
            fresh.replace(folder / file)
        return Tls(certificate=folder / "tls.crt", key=folder / "tls.key")


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, authority: bool = False, days: int = 30
) -> x509.Certificate:
    def called(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(called(name)).issuer_name(called(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, SHA256())


@asynccontextmanager
async def serving(folder: Path, tls: Tls | None) -> AsyncIterator[int]:
    server = NetworkServer(Tokens(Keys(folder / "keys")), "127.0.0.1", 0, tls)
    add(House(), server)
    port = await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def answers(port: int, tls: Tls | None) -> bool:
    """Whether a new connection is accepted by both sides."""
    channel = NetworkChannel(f"127.0.0.1:{port}", tls, name="feed")
    stub: Any = FeedServiceStub(channel)
    try:
        return bool(await stub.GetPost(GET, timeout=40))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    finally:
        await channel.close()


async def test_a_client_believes_only_certificates_of_its_authority_and_name(tmp_path: Path) -> None:
    ours, theirs = Authority.new(), Authority.new()
    known, other = ours.write(tmp_path / "ca.crt"), theirs.write(tmp_path / "other.crt")
    async with serving(tmp_path, ours.issue(tmp_path / "server", "feed")) as port:
        assert await answers(port, Tls(authority=known, server_name="feed"))
        assert not await answers(port, Tls(authority=other, server_name="feed"))
        assert not await answers(port, Tls(authority=known, server_name="identity"))
        assert not await answers(port, None)


async def test_a_server_that_asks_for_certificates_lets_nobody_in_without(tmp_path: Path) -> None:
    ours, theirs = Authority.new(), Authority.new()
    known = ours.write(tmp_path / "ca.crt")
    server = ours.issue(tmp_path / "server", "feed")
    server.authority, server.require_clients = known, True
    good, forged = ours.issue(tmp_path / "good", "gateway"), theirs.issue(tmp_path / "forged", "gateway")
    for client in (good, forged):
        client.authority, client.server_name = known, "feed"
    async with serving(tmp_path, server) as port:
        assert await answers(port, good)
        assert not await answers(port, forged)
        assert not await answers(port, Tls(authority=known, server_name="feed"))


async def test_a_server_shows_its_new_certificate_without_a_restart(tmp_path: Path) -> None:
    old, new = Authority.new(), Authority.new()
    before, after = old.write(tmp_path / "old.crt"), new.write(tmp_path / "new.crt")
    async with serving(tmp_path, old.issue(tmp_path / "server", "feed", days=10)) as port:
        assert 9 * 86_400 < metrics.value("watercooler_certificate_expiry_seconds", certificate="own") < 10 * 86_400
        assert await answers(port, Tls(authority=before, server_name="feed"))
        held = NetworkChannel(f"127.0.0.1:{port}", Tls(authority=before, server_name="feed"), name="feed")
        stub: Any = FeedServiceStub(held)
        await stub.GetPost(GET, timeout=40)
        new.issue(tmp_path / "server", "feed", days=20)
        await eventually(lambda: answers(port, Tls(authority=after, server_name="feed")))
        assert not await answers(port, Tls(authority=before, server_name="feed"))
        assert 19 * 86_400 < metrics.value("watercooler_certificate_expiry_seconds", certificate="own") < 20 * 86_400
        assert await stub.GetPost(GET, timeout=40), "connections made before go on"
        await held.close()


async def test_a_client_shows_its_new_certificate_without_a_restart(tmp_path: Path) -> None:
    ours, theirs = Authority.new(), Authority.new()
    known = ours.write(tmp_path / "ca.crt")
    server = ours.issue(tmp_path / "server", "feed")
    server.authority, server.require_clients = known, True
    client = theirs.issue(tmp_path / "client", "gateway")
    client.authority, client.server_name = known, "feed"
    async with serving(tmp_path, server) as port:
        channel = NetworkChannel(f"127.0.0.1:{port}", client, name="feed")
        stub: Any = FeedServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetPost(GET, timeout=40)
        ours.issue(tmp_path / "client", "gateway")
        await eventually(lambda: stub.GetPost(GET, timeout=40))
        await channel.close()


def test_what_does_not_go_together_is_refused_by_name_and_never_taken_in_place_of_what_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.rpc.tls.LOOK_SECONDS", 0.0)
    ours = Authority.new()
    tls = ours.issue(tmp_path / "one", "feed")
    good = tls.material()
    other = ours.issue(tmp_path / "two", "feed")
    assert tls.certificate is not None
    assert other.certificate is not None
    certificate = tls.certificate.read_bytes()
    tls.certificate.write_bytes(other.certificate.read_bytes())
    assert tls.material() is good, "the certificate is there before its key"
    with pytest.raises(TlsUnusable, match=r"tls\.key is not the key of the certificate"):
        Tls(certificate=tls.certificate, key=tls.key).material()
    tls.certificate.write_bytes(b"no certificate")
    assert tls.material() is good
    with pytest.raises(TlsUnusable, match=r"tls\.crt holds no certificate"):
        Tls(certificate=tls.certificate, key=tls.key).material()
    tls.certificate.write_bytes(certificate)
    assert tls.material() == good
    with pytest.raises(TlsUnusable, match="missing"):
        Tls(authority=tmp_path / "missing").material()
    with pytest.raises(TlsUnusable, match="tls_ca_file"):
        Tls(certificate=other.certificate, key=other.key, require_clients=True).server_credentials()
    with pytest.raises(TlsUnusable, match="tls_key_file"):
        Tls(certificate=other.certificate).server_credentials()


def test_the_time_a_certificate_has_left_goes_down_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Authority.new().issue(tmp_path, "feed", days=3).material()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 86_400)
    assert 0 < metrics.value("watercooler_certificate_expiry_seconds", certificate="own") < 86_400
