"""Sign-in by password, and the links by which a password is chosen."""
from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, timedelta
from typing import Any

from libs.eventstore.model import Conflict, NotFound, Rejected, micros
from libs.rpc import auth
from libs.rpc.errors import ResourceExhausted
from libs.telemetry import logs, metrics
from libs.text.ids import new_id
from watercooler.identity.v1.events_pb2 import Profile
from watercooler.identity.v1.identity_service_pb2 import (
    PERSON_STATE_ACTIVE,
    AcceptInvitationRequest,
    AuthenticateRequest,
    AuthenticateResponse,
    ChangePasswordRequest,
    CheckSecretLinkRequest,
    InvitePersonRequest,
    Person,
    RequestPasswordResetRequest,
    RequestPasswordResetResponse,
    ResetPasswordRequest,
    SecretLink,
)

from .. import commands, passwords, profiles, queries
from ..deciders import person
from .base import Part, administrator, new_secret, secret_hash, service, stream_of, writer

WINDOW = timedelta(minutes=1)
WRONG = "the e-mail address or the password is not right"
USED = "this link was used before or is past its time: ask for a new one"
SECRET_MAX = 200
# Letters under way at once; more requests than that wait no longer, they are refused for a while.
LETTERS_MAX = 100

_log = logs.get_logger(__name__)


class SignInPart(Part):
    """Sign-in and passwords."""

    def __init__(self, *args: Any) -> None:
        """As every part."""
        super().__init__(*args)
        self._letters: set[asyncio.Task[None]] = set()

    async def Authenticate(self, request: AuthenticateRequest, context: Any) -> AuthenticateResponse:
        """Check an address and a password; the gateway only.

        Unknown address, wrong password and a person who has left are refused in the same words and after the same work.
        """
        service()
        counted = await self._count("sign-in", request.email, request.client_address)
        async with self.database.snapshot() as tx:
            found = await queries.credentials(tx, email=request.email) if request.email.strip() else None
        password = request.password if len(request.password) <= passwords.MOST else ""
        right = await self.passwords.verify(found.password_hash if found else "", password)
        if found is None or not right or found.state != PERSON_STATE_ACTIVE:
            left = found is not None and right
            metrics.SIGN_INS.labels(outcome="deactivated" if left else "failed").inc()
            raise auth.Unauthenticated(WRONG)
        if self.passwords.outdated(found.password_hash):
            await self._rehash(found, password)
        await self._forget(counted)
        metrics.SIGN_INS.labels(outcome="succeeded").inc()
        return AuthenticateResponse(person=await self.read_person(found.person_id))

    async def InvitePerson(self, request: InvitePersonRequest, context: Any) -> SecretLink:
        """A link by which a person chooses the first password; the one before stops working. Administrators only.

        It goes to the person's address too, where a mail server is set.
        """
        caller = administrator()
        secret, hashed = new_secret()
        expires = self.now() + self.settings.invitation_lifetime
        invite = commands.InvitePerson(person_id=request.person_id, secret_hash=hashed, expire_time=expires)
        # A repeated request gets a link of its own, since the secret of the first is not kept.
        await self.done(person, stream_of("person", request.person_id), invite, caller.actor_id)
        link = _secret_link(request.person_id, secret, expires)
        if self.mail.delivers:
            link.mailed = await self._mail_invitation(link)
        return link

    async def AcceptInvitation(self, request: AcceptInvitationRequest, context: Any) -> Person:
        """Choose the first password by an invitation; whoever has the link may."""
        found = await self._open_link(request.secret, "invitation")
        password_hash = await self._chosen(found.person_id, request.password, "password")
        accept = commands.AcceptInvitation(
            person_id=found.person_id, secret_hash=secret_hash(request.secret), password_hash=password_hash, now=self.now()
        )
        await self.done(person, f"person-{found.person_id}", accept, found.person_id, request.request_id)
        return await self.read_person(found.person_id)

    async def RequestPasswordReset(self, request: RequestPasswordResetRequest, context: Any) -> RequestPasswordResetResponse:
        """A link for a new password: to an administrator who asks for somebody at once, to everybody else by mail.

        The answer says nothing about whether the address is known.
        """
        caller = auth.optional_caller()
        if caller is not None and caller.person_id and caller.is_administrator:
            async with self.database.snapshot() as tx:
                known = await queries.find_person(tx, email=request.email) if request.email.strip() else None
            if known is None:
                raise NotFound("nobody here has this e-mail address", "email")
            return RequestPasswordResetResponse(link=await self._reset_link(known.person_id, caller.actor_id))
        await self._count("reset", request.email, request.client_address)
        if len(self._letters) >= LETTERS_MAX:
            raise ResourceExhausted("too many letters are under way: try again in a minute", int(WINDOW.total_seconds()))
        self._later(self._mail_reset_link(request.email))
        return RequestPasswordResetResponse()

    async def ResetPassword(self, request: ResetPasswordRequest, context: Any) -> Person:
        """Choose a new password by a reset link; whoever has the link may."""
        found = await self._open_link(request.secret, "reset")
        password_hash = await self._chosen(found.person_id, request.password, "password")
        reset = commands.ResetPassword(
            person_id=found.person_id, secret_hash=secret_hash(request.secret), password_hash=password_hash, now=self.now()
        )
        await self.done(person, f"person-{found.person_id}", reset, found.person_id, request.request_id)
        return await self.read_person(found.person_id)

    async def ChangePassword(self, request: ChangePasswordRequest, context: Any) -> Person:
        """Choose another password for oneself, knowing the present one."""
        caller = writer()
        counted = await self._count("sign-in", caller.actor_id, "")
        async with self.database.snapshot() as tx:
            found = await queries.credentials(tx, person_id=caller.person_id)
        current = request.current_password if len(request.current_password) <= passwords.MOST else ""
        if not await self.passwords.verify(found.password_hash if found else "", current) or found is None:
            raise Rejected("the present password is not right", "current_password")
        password_hash = await self._chosen(found.person_id, request.new_password, "new_password")
        change = commands.ChangePassword(
            person_id=found.person_id, password_hash=password_hash, replaces=found.password_hash, ends_apps=request.ends_apps
        )
        await self.done(person, f"person-{found.person_id}", change, caller.actor_id, request.request_id)
        await self._forget(counted)
        return await self.read_person(found.person_id)

    async def CheckSecretLink(self, request: CheckSecretLinkRequest, context: Any) -> Person:
        """Whose invitation or reset link this is, for the page it opens: name and address, nothing else."""
        found = await self._open_link(request.secret, "")
        whole = await self.read_person(found.person_id)
        profile = Profile(name=whole.profile.name, preferred_name=whole.profile.preferred_name, email=whole.profile.email)
        return Person(
            person_id=whole.person_id, display_name=whole.display_name, state=whole.state, profile=profile,
            invited=found.kind == "invitation",
        )

    async def idle(self) -> None:
        """Wait for the letters under way."""
        while self._letters:
            await asyncio.gather(*self._letters, return_exceptions=True)

    async def _count(self, what: str, account: str, client_address: str) -> dict[str, str]:
        """Note an attempt of an account and an address, which are kept as hashes.

        Raises:
            ResourceExhausted: there were too many of either within a minute.
        """
        keys = [f"{what} account {profiles.fold_key(account)}"] + ([f"{what} address {client_address}"] if client_address else [])
        attempts = {secret_hash(key): new_id() for key in keys}
        window = WINDOW // timedelta(microseconds=1)
        async with self.database.transaction() as tx:
            wait = await queries.count_attempt(tx, attempts, micros(self.now()), window, self.settings.rate_sign_ins_per_minute)
        if wait:
            if what == "sign-in":
                metrics.SIGN_INS.labels(outcome="rate_limited").inc()
            seconds = -(-wait // 1_000_000)
            raise ResourceExhausted(f"too many attempts: try again in {seconds} s", seconds)
        return attempts

    async def _forget(self, counted: dict[str, str]) -> None:
        async with self.database.transaction() as tx:
            await queries.forget_attempts(tx, next(iter(counted)), counted.values())

    async def _rehash(self, found: queries.Credentials, password: str) -> None:
        password_hash = await self.passwords.hash(password)
        renew = commands.ChangePassword(
            person_id=found.person_id, password_hash=password_hash, replaces=found.password_hash, rehashed=True
        )
        try:
            await self.done(person, f"person-{found.person_id}", renew, found.person_id)
        except (Rejected, Conflict):
            _log.info("password hash not renewed", person_id=found.person_id)  # the next sign-in does it

    async def _open_link(self, secret: str, kind: str) -> queries.Link:
        if not secret or len(secret) > SECRET_MAX:
            raise NotFound(USED)
        async with self.database.snapshot() as tx:
            found = await queries.link(tx, secret_hash(secret))
        if found is None or (kind and found.kind != kind) or found.expire_time <= micros(self.now()):
            raise NotFound(USED)
        return found

    async def _chosen(self, person_id: str, password: str, field: str) -> str:
        profile = (await self.read_person(person_id)).profile
        passwords.check(password, names=(profile.name, profile.preferred_name, profile.email), field=field)
        return await self.passwords.hash(password)

    async def _reset_link(self, person_id: str, actor_id: str) -> SecretLink:
        secret, hashed = new_secret()
        expires = self.now() + self.settings.reset_lifetime
        request = commands.RequestReset(person_id=person_id, secret_hash=hashed, expire_time=expires)
        await self.done(person, f"person-{person_id}", request, actor_id)
        return _secret_link(person_id, secret, expires)

    async def _mail_invitation(self, link: SecretLink) -> bool:
        invited = await self.read_person(link.person_id)
        if not invited.profile.email:
            return False
        async with self.database.snapshot() as tx:
            organization = await queries.organization(tx)
        where = organization.name if organization else "our network"
        expires = link.expire_time.ToDatetime(UTC)
        text = (
            f"Hello {invited.display_name},\n\n"
            f"you are invited to {where}. Choose your password here:\n\n"
            f"    {self.settings.address}/invitation/{link.secret}\n\n"
            f"The link works once, until {expires:%Y-%m-%d %H:%M} UTC. If it is past its time, ask an administrator for another.\n"
        )
        await self.mail.send(invited.profile.email, "Your invitation", text, self.now(), expires)
        return True

    async def _mail_reset_link(self, email: str) -> None:
        async with self.database.snapshot() as tx:
            known = await queries.find_person(tx, email=email) if email.strip() else None
        if known is None or known.state != PERSON_STATE_ACTIVE:
            return
        link = await self._reset_link(known.person_id, known.person_id)
        text = (
            f"Hello {known.display_name},\n\n"
            "somebody, most likely you, asked for a new password. Choose it here:\n\n"
            f"    {self.settings.address}/password/reset/{link.secret}\n\n"
            f"The link works once, until {link.expire_time.ToDatetime():%Y-%m-%d %H:%M} UTC. "
            "If you did not ask for it, do nothing: the present password stays.\n"
        )
        await self.mail.send(known.profile.email, "A new password", text, self.now(), link.expire_time.ToDatetime(UTC))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work after the answer, so that the time of the answer tells nothing."""

        async def logged() -> None:
            try:
                await work
            except Exception:
                _log.exception("letter not sent")

        task = asyncio.create_task(logged())
        self._letters.add(task)
        task.add_done_callback(self._letters.discard)


def _secret_link(person_id: str, secret: str, expires: Any) -> SecretLink:
    link = SecretLink(person_id=person_id, secret=secret)
    link.expire_time.FromDatetime(expires)
    return link
