"""Exports are written by the one process that works for the feed, one at a time, and deleted when their time is over."""
from __future__ import annotations

import asyncio
import contextlib
import html
import json
import tempfile
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import IO

from google.protobuf.message import Message

from libs.blobs.store import BlobNotFound, BlobStoreFailed
from libs.db.database import Row
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, micros
from libs.runtime.service import Context
from libs.telemetry import logs
from libs.text import markdown
from watercooler.feed.v1.events_pb2 import AuthorErased
from watercooler.feed.v1.feed_service_pb2 import Post
from watercooler.feed.v1.retention_events_pb2 import EXPORT_SUBJECT_PERSON, ExportRequested

from .commands.retention import ExpireExport, FailExport, FinishExport
from .deciders import export
from .queries import exports as queries

KEPT_DAYS = 7
PAGE = 200
# Pictures past this are left out, which the export says.
FILES_BYTES_MAX = 2 * 1024 ** 3
ZIP_BYTES_MAX = 4 * 1024 ** 3
ROUND_SECONDS = 300.0
RETRY_SECONDS = 30.0
_PIECE_BYTES = 1024 * 1024
_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp", "application/pdf": ".pdf"}

_log = logs.get_logger(__name__)

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #1c2024; background: #fff }}
article {{ border-top: 1px solid #d9dde2; padding: 1rem 0 }}
article.reply {{ margin-left: 2rem }}
.about {{ color: #5b6570; font-size: .875rem }}
img {{ max-width: 100%; height: auto }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #e6e9ec; background: #16191c }}
  article {{ border-color: #33393f }}
  a {{ color: #8ab4f8 }}
}}
</style></head><body>
<h1>{title}</h1>
<p class="about">{about}</p>
"""
_README = """This archive was made by Watercooler.

index.html   everything to read, in any browser
posts.json   the posts with all their versions
*.json       what else belongs to it, each file named by what it holds
files/       pictures and other files, named as the posts name them
{left_out}
Times are UTC (RFC 3339). Roles: 1 member, 2 moderator, 3 owner.
"""


class Exporting:
    """Writes what was asked for, oldest first.

    An export is written to a temporary file page by page, so memory does not grow with it. Where the process stops in between it is
    begun again by the next one.
    """

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look again: an export was asked for."""
        self._woken.set()

    async def run(self) -> None:
        """Go on until it is cancelled."""
        while True:
            self._woken.clear()
            try:
                wait = 0.0 if await self.round() else ROUND_SECONDS
            except Exception:
                _log.exception("exports could not be looked up; it is tried again")
                wait = RETRY_SECONDS
            # Not wait_for, which in Python 3.11 forgets that it is cancelled when it is woken at the same time.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def round(self) -> bool:
        """Delete what is over and write the next one; True where one was written."""
        for over in await queries.expired(self._context.database, micros(self._context.now())):
            await expire(self._context, over)
        row = await queries.next_waiting(self._context.database)
        if row is None:
            return False
        await self._write(row)
        return True

    async def _write(self, row: Row) -> None:
        context, export_id = self._context, row["export_id"]
        try:
            self._context.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="export-", dir=context.folder) as folder:
                path = Path(folder) / "export.zip"
                posts = await _Archive(context, row, Path(folder)).write(path)
                size = path.stat().st_size
                ref = await context.blobs.put(_pieces(path), "application/zip", limit_bytes=ZIP_BYTES_MAX)
            now = context.now()
            done = FinishExport(
                export_id=export_id, blob_id=ref.id, size_bytes=size, post_count=posts, now=now, expires=now + timedelta(days=KEPT_DAYS)
            )
            finished = await handle(context.events, export, f"export-{export_id}", done, Metadata("service:feed"))
            if finished.state.state != "ready":  # somebody in it was erased meanwhile
                await context.blobs.delete(ref.id)
        except BlobStoreFailed:
            raise  # it passes: the export waits
        except Exception:
            _log.exception("an export could not be written", export_id=export_id)
            reason = "it could not be written: ask an administrator to look at the log"
            failed = FailExport(export_id=export_id, reason=reason, now=context.now())
            await handle(context.events, export, f"export-{export_id}", failed, Metadata("service:feed"))
        async with context.database.transaction() as tx:
            await queries.forget_progress(tx, export_id)


class WakingExporting:
    """Tells of exports that were asked for, by whichever process."""

    name = "feed.waking_exporting"
    handles: tuple[type[Message], ...] = (ExportRequested,)

    def __init__(self, exporting: Exporting) -> None:
        """For the running task."""
        self._exporting = exporting

    async def react(self, event: Recorded) -> None:
        """Wake it; once more does no harm."""
        self._exporting.wake()


class Recalling:
    """Deletes the exports that may hold something of a person who was erased. Doing it twice changes nothing."""

    name = "feed.recalling"
    handles: tuple[type[Message], ...] = (AuthorErased,)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Delete them."""
        assert isinstance(event.data, AuthorErased)
        for row in await queries.with_person(self._context.database, event.data.person_id):
            await expire(self._context, row)


async def expire(context: Context, row: Row) -> None:
    """Delete the file of an export and say so."""
    if row["blob_id"]:
        await context.blobs.delete(row["blob_id"])
    gone = ExpireExport(export_id=row["export_id"], now=context.now())
    await handle(context.events, export, f"export-{row['export_id']}", gone, Metadata("service:feed"))


class _Archive:
    """One export on its way into a ZIP."""

    def __init__(self, context: Context, row: Row, folder: Path) -> None:
        self._context = context
        self._row = row
        self._folder = folder
        self._files: dict[str, str] = {}

    async def write(self, path: Path) -> int:
        """Write the ZIP; answers how many posts are in it."""
        database = self._context.database
        personal = self._row["subject"] == EXPORT_SUBJECT_PERSON
        subject_id = self._row["subject_id"]
        documents: dict[str, object] = {}
        async with database.snapshot() as tx:
            if personal:
                about = await queries.profile_of(tx, subject_id)
                documents = {"profile": about, **await queries.acts_of(tx, subject_id)}
                if about.get("photo"):
                    self._files[about["photo"].removeprefix("files/")] = ""
            else:
                about = await queries.community_of(tx, subject_id)
                documents = {"community": about}
        title = str(about.get("name") or subject_id)
        posts = 0
        with (
            (self._folder / "posts.json").open("w", encoding="utf-8") as data,
            (self._folder / "index.html").open("w", encoding="utf-8") as page,
        ):
            data.write("[")
            page.write(_HEAD.format(title=html.escape(title), about=html.escape(self._about(personal))))
            async for number, record, post in self._posts(personal, subject_id):
                page.write(_article(record, post, self._files))  # which gives the files their names
                data.write(("," if number else "") + "\n" + json.dumps(record, ensure_ascii=False))
                posts = number + 1
            data.write("\n]\n")
            page.write("</body></html>\n")
        archive = await asyncio.to_thread(zipfile.ZipFile, path, "w", zipfile.ZIP_DEFLATED, True)
        with archive:
            for name in ("index.html", "posts.json"):
                await asyncio.to_thread(archive.write, self._folder / name, name)
            for key, document in documents.items():
                await asyncio.to_thread(archive.writestr, f"{key}.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
            left_out = await self._add_files(archive)
            more = f"\n{left_out} files are left out: together they are larger than an export may be.\n" if left_out else ""
            archive.writestr("README.txt", _README.format(left_out=more))
        return posts

    def _about(self, personal: bool) -> str:
        made = queries.time_text(micros(self._context.now()))
        what = "Everything this person wrote and did" if personal else "The threads of this community"
        return f"{what}, as of {made}. posts.json has every version."

    async def _posts(self, personal: bool, subject_id: str) -> AsyncIterator[tuple[int, queries.Record, Post]]:
        number = 0
        async for page in self._pages(personal, subject_id):
            for _, record, post in page:
                yield number, record, post
                number += 1
            async with self._context.database.transaction(durable=False) as tx:
                await queries.note_progress(tx, self._row["export_id"], number)

    async def _pages(self, personal: bool, subject_id: str) -> AsyncIterator[list[tuple[str, queries.Record, Post]]]:
        database = self._context.database
        if personal:
            kept = self._row["requester_id"] != subject_id
            after = ""
            while True:
                async with database.snapshot() as tx:
                    page = await queries.posts_by(tx, subject_id, after, PAGE, kept=kept)
                if page:
                    yield page
                if len(page) < PAGE:
                    return
                after = page[-1][0]
        begun = ""
        while True:
            async with database.snapshot() as tx:
                threads = await queries.threads_in(tx, subject_id, begun, PAGE)
            for thread_id in threads:
                after = ""
                while True:
                    async with database.snapshot() as tx:
                        page = await queries.posts_in(tx, thread_id, after, PAGE)
                    if page:
                        yield page
                    if len(page) < PAGE:
                        break
                    after = page[-1][0]
            if len(threads) < PAGE:
                return
            begun = threads[-1]

    async def _add_files(self, archive: zipfile.ZipFile) -> int:
        """Copy the files; answers how many are left out."""
        room, left_out = FILES_BYTES_MAX, 0
        for blob_id in self._files:
            try:
                content = await self._context.blobs.get(blob_id)
            except BlobNotFound:
                continue
            if content.ref.size > room:
                left_out += 1
                continue
            room -= content.ref.size
            entry = await asyncio.to_thread(archive.open, f"files/{file_name(blob_id)}", "w", force_zip64=True)
            with entry:
                async for chunk in content.chunks:
                    await asyncio.to_thread(entry.write, chunk)
        return left_out


def file_name(blob_id: str) -> str:
    """What a file is called in the archive: its id, with an ending that a computer knows."""
    media_type = blob_id.partition("-")[2].replace(".", "/", 1)
    return blob_id + _ENDINGS.get(media_type, "")


def _article(record: queries.Record, post: Post, files: dict[str, str]) -> str:
    """A post to read; its files are noted."""
    for one, shown in zip(post.attachments, record["attachments"], strict=True):
        files[one.blob_id] = one.media_type
        shown["file"] = f"files/{file_name(one.blob_id)}"
    about = [record["author"] or record["author_id"], record["time"].replace("T", " ").split(".")[0].rstrip("Z") + " UTC"]
    if record["community"]:
        about.append(record["community"])
    if record.get("deleted_but_kept"):
        about.append("deleted, kept under a legal hold or for an appeal")
    body = markdown.render(post.body) if post.body else ""
    pictures = "".join(
        f'<p><img src="{html.escape(shown["file"])}" alt="{html.escape(one.description)}"></p>' if one.media_type.startswith("image/")
        else f'<p><a href="{html.escape(shown["file"])}">{html.escape(one.description or one.media_type)}</a></p>'
        for one, shown in zip(post.attachments, record["attachments"], strict=True)
    )
    warning = f"<p><strong>{html.escape(post.warning)}</strong></p>" if post.warning else ""
    repost = f"<p>Passed on the post {html.escape(post.reposted_id)}</p>" if post.reposted_id else ""
    reply = ' class="reply"' if record["parent_id"] else ""
    return (
        f'<article{reply} id="{html.escape(post.post_id)}"><p class="about">{html.escape(" · ".join(about))}</p>'
        f"{warning}{body}{repost}{pictures}</article>\n"
    )


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file: IO[bytes] = await asyncio.to_thread(path.open, "rb")
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
