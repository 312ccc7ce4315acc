"""Letters by a real mail server: sent, kept while it is away, refused, encrypted, given up."""
from __future__ import annotations

import asyncio
import email
import email.policy
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from libs.mail.letters import LetterRefused, MailServer, ServerAway
from libs.telemetry import metrics
from libs.testing.world import World
from services.identity.service import SERVICE
from tests.identity.worlds import Identity
from tests.rpc.house import reserved_port
from tests.rpc.test_tls import Authority
from watercooler.identity.v1 import identity_service_pb2 as pb

PATIENCE_SECONDS = 60.0


class Post:
    """What a mail server does with letters: takes them, or answers for an address as it is told."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.answers: dict[str, str] = {}
        self.encrypted: list[bool] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if answer := self.answers.get("data"):
            return answer
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


@asynccontextmanager
async def mail_server(post: Post, port: int = 0, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(post, **options), "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def network(folder: Path, port: int, *, fresh: bool = True) -> AsyncIterator[Identity]:
    address = "https://net.example.com"
    async with World.of(folder, SERVICE, smtp_url=f"smtp://127.0.0.1:{port}", public_url=address) as world:
        identity = Identity(world)
        identity.api.mail.now = lambda: identity.time
        if fresh:
            await identity.set_up()
        yield identity


@pytest.fixture
def closed_port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await check():
            await asyncio.sleep(0.02)


async def ask_for_reset(identity: Identity, address: str) -> None:
    await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email=address))
    await identity.api.idle()


async def waiting(identity: Identity) -> list[tuple[str, int]]:
    rows = await identity.world.store("identity").database.fetch("SELECT address, tries FROM letters ORDER BY address")
    return [(row["address"], row["tries"]) for row in rows]


async def emptied(identity: Identity) -> None:
    async def none_waits() -> bool:
        return await waiting(identity) == []

    await until(none_waits)


async def test_a_reset_link_arrives_and_is_kept_nowhere(tmp_path: Path) -> None:
    post = Post()
    before = metrics.value("watercooler_letters_total", outcome="sent")
    async with mail_server(post) as port, network(tmp_path, port) as identity:
        await ask_for_reset(identity, "ANN@example.com")
        await ask_for_reset(identity, "nobody@example.com")
        await until(lambda: _true(bool(post.letters)))
        await emptied(identity)
        (letter,) = post.letters
        assert (letter["From"], letter["To"], letter["Subject"]) == ("watercooler@net.example.com", "ann@example.com", "A new password")
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["Message-ID"].endswith("@net.example.com>")
        secret = re.search(r"https://net\.example\.com/password/reset/(\S+)", letter.get_content())
        assert secret
        found = await identity.stub.CheckSecretLink(pb.CheckSecretLinkRequest(secret=secret[1]))
        assert found.display_name == "Ann Bell"
    assert metrics.value("watercooler_letters_total", outcome="sent") == before + 1
    assert not (tmp_path / "var" / "mail").exists()
    content = b"".join(path.read_bytes() for path in (tmp_path / "var").glob("identity.db*"))
    assert secret[1].encode() not in content


async def _true(answer: bool) -> bool:
    return answer


async def test_a_letter_waits_for_a_mail_server_that_is_away_also_over_a_restart(tmp_path: Path, closed_port: int) -> None:
    post = Post()
    async with network(tmp_path, closed_port) as identity:
        await ask_for_reset(identity, "ann@example.com")

        async def tried() -> bool:
            return await waiting(identity) == [("ann@example.com", 1)]

        await until(tried)
        later = identity.time
    async with mail_server(post, closed_port), network(tmp_path, closed_port, fresh=False) as identity:
        identity.time = later
        await identity.api.mail.step()
        assert post.letters == [], "not before the pause is over"
        identity.pass_time(seconds=15)
        await emptied(identity)
        assert [letter["To"] for letter in post.letters] == ["ann@example.com"]


async def test_a_letter_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    post = Post()
    post.answers = {"ann@example.com": "550 no such mailbox", "bo@example.com": "451 come again"}
    async with mail_server(post) as port, network(tmp_path, port) as identity:
        for name in ("Bo", "Cy"):
            await identity.create(name, f"{name.lower()}@example.com", password="seven quiet lamps")
        for name in ("ann", "bo", "cy"):
            await ask_for_reset(identity, f"{name}@example.com")

        async def only_bo_waits() -> bool:
            return await waiting(identity) == [("bo@example.com", 1)]

        await until(only_bo_waits)
        assert [letter["To"] for letter in post.letters] == ["cy@example.com"]
        post.answers = {}
        identity.pass_time(seconds=15)
        await emptied(identity)
        assert [letter["To"] for letter in post.letters] == ["cy@example.com", "bo@example.com"]


async def test_a_letter_whose_link_is_past_its_time_is_given_up(tmp_path: Path, closed_port: int) -> None:
    before = metrics.value("watercooler_letters_total", outcome="expired")
    async with network(tmp_path, closed_port) as identity:
        await ask_for_reset(identity, "ann@example.com")
        identity.time += identity.world.embedded.settings.reset_lifetime
        await emptied(identity)
    assert metrics.value("watercooler_letters_total", outcome="expired") == before + 1


async def test_letters_to_an_erased_person_are_deleted(tmp_path: Path, closed_port: int) -> None:
    async with network(tmp_path, closed_port) as identity:
        await ask_for_reset(identity, "ann@example.com")
        await ask_for_reset(identity, "ada@example.com")
        with identity.as_admin():
            await identity.stub.ErasePerson(pb.ErasePersonRequest(person_id=identity.ann.person_id))
        assert [address for address, _ in await waiting(identity)] == ["ada@example.com"]


async def test_an_invitation_goes_by_mail_too(tmp_path: Path) -> None:
    post = Post()
    async with mail_server(post) as port, network(tmp_path, port) as identity:
        cy = await identity.create("Cy", "cy@example.com")
        with identity.as_admin():
            link = await identity.stub.InvitePerson(pb.InvitePersonRequest(person_id=cy.person_id))
        assert link.mailed
        await emptied(identity)
        (letter,) = post.letters
        assert f"https://net.example.com/invitation/{link.secret}\n" in letter.get_content().replace("\r\n", "\n")
        assert "invited to Harbour Works" in letter.get_content()


def letter_to(address: str) -> EmailMessage:
    letter = EmailMessage(policy=email.policy.SMTP)
    letter["From"], letter["To"], letter["Subject"] = "watercooler@example.com", address, "Grüße"
    letter.set_content("Hello\n")
    return letter


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a mail server named localhost, and of a client that believes it."""
    authority = Authority.new()
    files = authority.issue(tmp_path / "mail-tls", "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert files.certificate
    server.load_cert_chain(files.certificate, files.key)
    return server, ssl.create_default_context(cafile=str(authority.write(tmp_path / "mail-ca.crt")))


def check_login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"user", b"pass/word"), handled=False)


async def deliver(server: MailServer, address: str = "ann@example.com") -> None:
    await server.deliver(letter_to(address))


async def test_a_connection_is_encrypted_where_the_server_offers_it(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = tls
    post = Post()
    options: dict[str, Any] = {"tls_context": server, "authenticator": check_login, "auth_required": True}
    async with mail_server(post, **options) as port:
        await deliver(MailServer(f"smtp://user:pass%2Fword@localhost:{port}", client))
        assert (post.encrypted, post.letters[0]["Subject"]) == ([True], "Grüße")
        with pytest.raises(ServerAway, match="SMTPAuthenticationError 535"):
            await deliver(MailServer(f"smtp://user:wrong@localhost:{port}", client))
        with pytest.raises(ServerAway, match="CERTIFICATE_VERIFY_FAILED"):
            await deliver(MailServer(f"smtp://user:pass%2Fword@localhost:{port}"))
    async with mail_server(post, tls=server) as port:
        await deliver(MailServer(f"smtps://localhost:{port}", client))
    assert len(post.letters) == 2


async def test_a_password_is_never_sent_in_clear() -> None:
    post = Post()
    options: dict[str, Any] = {"authenticator": check_login, "auth_require_tls": False}
    async with mail_server(post, **options) as port:
        with pytest.raises(ServerAway, match="not sent in clear"):
            await deliver(MailServer(f"smtp://user:pass%2Fword@localhost:{port}"))
        await deliver(MailServer(f"smtp://localhost:{port}"))
    assert post.encrypted == [False]


async def test_what_a_server_says_of_one_letter_is_told_from_what_it_says_of_all() -> None:
    post = Post()
    async with mail_server(post, enable_SMTPUTF8=False) as port:
        server = MailServer(f"smtp://localhost:{port}")
        for answer, final in (("554 spam", True), ("452 full", False)):
            post.answers = {"data": answer}
            with pytest.raises(LetterRefused, match=answer[:3]) as refused:
                await deliver(server)
            assert refused.value.final is final
        post.answers = {}
        with pytest.raises(LetterRefused) as refused:
            await deliver(server, "jürgen@example.com")
        assert refused.value.final
    with pytest.raises(ServerAway):
        await deliver(server)
