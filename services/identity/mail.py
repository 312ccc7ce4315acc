"""Where letters go: to a mail server, kept until it has taken them; or, without one, a file each in a folder."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from libs.db.database import Database
from libs.eventstore.model import micros
from libs.mail.letters import POLICY, LetterFolder, LetterRefused, MailServer, ServerAway
from libs.runtime.settings import Settings
from libs.telemetry import logs, metrics
from libs.text.ids import new_id

from . import profiles, queries
from .queries import Letter

POLL_SECONDS = 1.0
LETTERS_AT_ONCE = 50
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)

_log = logs.get_logger(__name__)


class Mail(Protocol):
    """Sends letters of plain text."""

    delivers: bool
    """Whether letters reach people without anybody's help, so that invitations are sent by them too."""

    async def send(self, to: str, subject: str, text: str, now: datetime, expires: datetime) -> None:
        """Hand a letter over, of no use to anybody once `expires` is past; raises OSError where it cannot be."""
        ...

    async def forget(self, to: str) -> None:
        """Drop the letters to an address that are still here, because their reader was erased."""
        ...


class MailFolder:
    """Letters as .eml files in a folder."""

    delivers = False

    def __init__(self, folder: Path) -> None:
        """In this folder, which is made with the first letter."""
        self._letters = LetterFolder(folder)

    async def send(self, to: str, subject: str, text: str, now: datetime, expires: datetime) -> None:
        """Write the letter: complete under its name, or not at all."""
        letter = EmailMessage(policy=POLICY)
        letter["To"] = to
        letter["Subject"] = subject
        letter["Date"] = format_datetime(now)
        letter.set_content(text)
        try:
            await self._letters.deliver(letter)
        except ServerAway as error:
            raise OSError(str(error)) from error

    async def forget(self, to: str) -> None:
        """Delete the letters to an address."""
        await self._letters.forget(to)


class Outbox:
    """Letters in the database until the mail server has taken them: an answer that promises a letter holds also where the server is away.

    `run` sends them, in the one process that works for the service. A letter goes out at least once; its Message-ID shows a second copy
    to be one. It is given up when it is of no use any more, or when the server refuses it for good.
    """

    delivers = True

    def __init__(self, database: Database, server: MailServer, sender: str, now: Callable[[], datetime]) -> None:
        """From the address `sender`."""
        self._database = database
        self._server = server
        self._sender = sender
        self.now = now
        self._waker = asyncio.Event()
        self._told = ""

    async def send(self, to: str, subject: str, text: str, now: datetime, expires: datetime) -> None:
        """Keep the letter; it is on its way within a second where the server is there."""
        letter = Letter(new_id(), to, subject, text, micros(now), micros(expires), 0)
        async with self._database.transaction() as tx:
            await queries.keep_letter(tx, letter, profiles.fold_key(to))
        self._waker.set()

    async def forget(self, to: str) -> None:
        """Delete the letters to an address."""
        async with self._database.transaction() as tx:
            await queries.drop_letters_to(tx, profiles.fold_key(to))

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            self._waker.clear()
            try:
                await self.step()
            except Exception as error:
                self._tell(f"the letters cannot be read: {error!r}")
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._waker.wait()
            except TimeoutError:
                pass  # other processes write letters too

    async def step(self) -> None:
        """Try every letter that is due, once."""
        now = micros(self.now())
        async with self._database.snapshot() as tx:
            due = await queries.due_letters(tx, now, LETTERS_AT_ONCE)
        for letter in due:
            if letter.expire_time <= now:
                await self._drop(letter, "expired")
                continue
            try:
                await self._server.deliver(self._written(letter))
            except ServerAway as error:
                self._tell(str(error))
                for each in due[due.index(letter) :]:
                    await self._delay(each)
                break
            except LetterRefused as error:
                _log.warning("letter refused", letter_id=letter.letter_id, reason=str(error), final=error.final)
                await (self._drop(letter, "refused") if error.final else self._delay(letter))
            else:
                self._tell("")
                await self._drop(letter, "sent")
        async with self._database.snapshot() as tx:
            metrics.LETTERS_WAITING.set(await queries.count_letters(tx))

    def _written(self, letter: Letter) -> EmailMessage:
        written = EmailMessage(policy=SMTP)
        try:
            written["From"] = self._sender
            written["To"] = letter.to
            written["Subject"] = letter.subject
            written["Date"] = format_datetime(datetime.fromtimestamp(letter.write_time / 1_000_000, UTC))
            written["Message-ID"] = f"<{letter.letter_id}@{self._sender.rpartition('@')[2]}>"
            written["Auto-Submitted"] = "auto-generated"
            written.set_content(letter.text)
        except ValueError as error:
            raise LetterRefused("its address cannot be written", final=True) from error
        return written

    async def _drop(self, letter: Letter, outcome: str) -> None:
        metrics.LETTERS.labels(outcome=outcome).inc()
        if outcome == "expired":
            _log.error("letter given up: the mail server did not take it in time", letter_id=letter.letter_id, tries=letter.tries)
        async with self._database.transaction() as tx:
            await queries.drop_letter(tx, letter.letter_id)

    async def _delay(self, letter: Letter) -> None:
        metrics.LETTERS.labels(outcome="delayed").inc()
        pause = min(FIRST_PAUSE * 2 ** min(letter.tries, 10), LONGEST_PAUSE)
        async with self._database.transaction() as tx:
            await queries.delay_letter(tx, letter.letter_id, micros(self.now() + pause))

    def _tell(self, trouble: str) -> None:
        """Log a trouble once, and once when it is over."""
        if trouble == self._told:
            return
        if trouble:
            _log.error("mail waits", reason=trouble)
        else:
            _log.warning("mail goes on")
        self._told = trouble


def mail_of(settings: Settings, database: Database, now: Callable[[], datetime]) -> MailFolder | Outbox:
    """What the settings ask for: a mail server where one is named, else the folder `mail`."""
    if not settings.smtp_url:
        return MailFolder(settings.data / "mail")
    sender = settings.mail_sender or f"watercooler@{urlsplit(settings.address).hostname or 'localhost'}"
    return Outbox(database, MailServer(settings.smtp_url), sender, now)
