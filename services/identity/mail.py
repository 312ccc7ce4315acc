"""Where letters go: for now a file each in a folder, for an administrator or a mail program to take from there."""
from __future__ import annotations

import asyncio
import os
import tempfile
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

POLICY = SMTP.clone(utf8=True)


class Mail(Protocol):
    """Sends letters of plain text."""

    async def send(self, to: str, subject: str, text: str, now: datetime) -> None:
        """Hand a letter over; raises OSError where it cannot be."""
        ...

    async def forget(self, to: str) -> None:
        """Drop the letters to an address that are still here, because their reader was erased."""
        ...


class MailFolder:
    """Letters as .eml files (RFC 5322), readable by the owner of the data only, for they may hold secrets."""

    def __init__(self, folder: Path) -> None:
        """In this folder, which is made with the first letter."""
        self._folder = folder

    async def send(self, to: str, subject: str, text: str, now: datetime) -> None:
        """Write the letter: complete under its name, or not at all."""
        letter = EmailMessage(policy=POLICY)
        letter["To"] = to
        letter["Subject"] = subject
        letter["Date"] = format_datetime(now)
        letter.set_content(text)
        await asyncio.to_thread(self._write, bytes(letter), now)

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
