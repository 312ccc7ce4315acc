"""Where letters go: to a mail server; or, without one, a file each in a folder."""
from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

POLICY = SMTP.clone(utf8=True)
SMTP_SECONDS = 10.0


class LetterRefused(Exception):
    """The mail server will not take this letter, now (`final` is false) or ever; others it may."""

    def __init__(self, reason: str, final: bool) -> None:
        """With the server's code, without its words, which may repeat the address."""
        super().__init__(reason)
        self.final = final


class ServerAway(Exception):
    """The mail server takes no letters now, whoever they are for."""


class Carrier(Protocol):
    """Takes letters, one after the other."""

    async def deliver(self, letter: EmailMessage) -> None:
        """Hand a letter over; returns when somebody else answers for it. Raises LetterRefused, ServerAway."""
        ...


class LetterFolder:
    """Letters as .eml files (RFC 5322), readable by the owner of the data only, for they may hold secrets."""

    def __init__(self, folder: Path) -> None:
        """In this folder, which is made with the first letter."""
        self._folder = folder

    async def deliver(self, letter: EmailMessage) -> None:
        """Write the letter: complete under its name, or not at all. Its Date begins the file's name. Raises ServerAway."""
        try:
            await asyncio.to_thread(self._write, bytes(letter), letter["Date"].datetime)
        except OSError as error:
            raise ServerAway(f"the folder of mail cannot be written: {error.strerror or error}") from error

    async def forget(self, to: str) -> None:
        """Delete the letters to an address."""
        await asyncio.to_thread(self._delete, to)

    def _delete(self, to: str) -> None:
        for path in self._folder.glob("*.eml"):
            with path.open("rb") as file:
                letter = BytesParser(policy=POLICY).parse(file, headersonly=True)
            if str(letter["To"]).casefold() == to.casefold():
                path.unlink()

    def _write(self, content: bytes, now: datetime) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=f"{now:%Y%m%dT%H%M%S}-", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(name.removesuffix(".tmp") + ".eml")


class MailServer:
    """A mail server by its address: smtp:// (port 25 unless named; encrypted where the server offers it) or smtps:// (465)."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        """`context` says whom to believe to be the server; the system's certificate authorities unless given."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._encrypted = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._encrypted else 25)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._context = context or ssl.create_default_context()

    async def deliver(self, letter: EmailMessage) -> None:
        """Hand a letter over; returns when the server answers for it. Waits for 10 s at most at each step.

        Raises:
            LetterRefused: it does not take this letter.
            ServerAway: it cannot be reached, or does not let us in.
        """
        server = aiosmtplib.SMTP(
            hostname=self._host, port=self._port, timeout=SMTP_SECONDS, use_tls=self._encrypted, start_tls=False, tls_context=self._context
        )
        try:
            await server.connect()
            await self._enter(server)
            await self._send(server, letter)
            await server.quit()
        except aiosmtplib.SMTPResponseException as error:
            raise ServerAway(f"{type(error).__name__} {error.code}") from error
        except (OSError, aiosmtplib.SMTPException) as error:
            raise ServerAway(f"{type(error).__name__}: {error}") from error
        finally:
            server.close()

    async def _enter(self, server: aiosmtplib.SMTP) -> None:
        await server.ehlo()
        encrypted = self._encrypted
        if not encrypted and server.supports_extension("starttls"):
            await server.starttls(tls_context=self._context)
            await server.ehlo()
            encrypted = True
        if self._user:
            if not encrypted:
                raise ServerAway("the server offers no TLS, and a password is not sent in clear: use smtps:// or no user in smtp_url")
            await server.login(self._user, self._password)

    @staticmethod
    async def _send(server: aiosmtplib.SMTP, letter: EmailMessage) -> None:
        try:
            await server.send_message(letter)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted(refused.code for refused in error.recipients)
            raise LetterRefused(f"recipient refused with {codes[0]}", final=codes[0] >= 500) from error
        except aiosmtplib.SMTPDataError as error:
            raise LetterRefused(f"letter refused with {error.code}", final=error.code >= 500) from error
        except (aiosmtplib.SMTPNotSupported, ValueError) as error:
            raise LetterRefused(f"letter cannot be written for this server: {type(error).__name__}", final=True) from error
