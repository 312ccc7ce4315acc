"""Link previews: what the first link of a post leads to, looked up beside the post and never in its way.

Hosts of the own network are not asked (`libs.fetch`), but for those that a setting names. A link that cannot be looked up is tried three
times in all, then never again. What is for named people only is not looked up: such links are often made for one reader, and opened once.
"""
from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Final
from urllib.parse import urljoin, urlsplit

from google.protobuf.message import Message

from libs.blobs import images
from libs.blobs.store import BlobStoreFailed
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, Rejected, micros
from libs.fetch import Fetched, FetchFailed, FetchRefused, Limits, fetch
from libs.fetch.client import Resolve
from libs.runtime.service import Context
from libs.telemetry import logs
from libs.text import markdown
from watercooler.feed.v1.events_pb2 import LinkPreview, LinkPreviewed, PostEdited, PostPublished
from watercooler.feed.v1.feed_service_pb2 import Post

from . import links
from .commands import PreviewLink
from .deciders import post
from .queries import files
from .queries import previews as queries

SECONDS: Final = 10.0
REDIRECTS: Final = 3
PAGE_BYTES: Final = 1 << 20
IMAGE_BYTES: Final = 5 << 20
IMAGE_PIXELS: Final = 20_000_000
# A picture that is larger than this when it is encoded anew is shown small.
IMAGE_STORED_BYTES: Final = 400 * 1024
AT_ONCE: Final = 4
ATTEMPTS: Final = 3
PAUSES: Final = (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1))
LOOK_SECONDS: Final = 30.0
# Links of posts that are older, as after a long standstill or an upgrade, are left alone.
FRESH: Final = timedelta(days=1)

_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_PICTURES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})

_log = logs.get_logger(__name__)


class NoPreview(Exception):
    """The link has no preview, and asking again would change nothing."""


class Previewing:
    """Notes the links of new and edited posts for `Previews`. Doing it twice changes nothing."""

    name = "feed.previewing"
    handles: tuple[type[Message], ...] = (PostPublished, PostEdited)

    def __init__(self, context: Context, previews: Previews) -> None:
        """For the running service."""
        self._context = context
        self._previews = previews

    async def react(self, event: Recorded) -> None:
        """Note the post's first link as its text is now."""
        told = event.data
        assert isinstance(told, PostPublished | PostEdited)
        if isinstance(told, PostEdited):
            await self._let_go(told.post_id)
        elif told.external_id:
            return
        if not self._context.settings.link_previews or event.erased:
            return
        if self._context.now() - event.time > FRESH:
            return
        if "http" not in told.body.lower() and "www." not in told.body.lower():
            return
        async with self._context.database.snapshot() as tx:
            found = await queries.text_of(tx, told.post_id)
        if found is None:
            return
        card, version = found
        url = first_link(card, self._context.settings.public_url)
        if not url:
            return
        async with self._context.database.transaction() as tx:
            await queries.note(tx, told.post_id, version, url, micros(self._context.now()))
        self._previews.wake()

    async def _let_go(self, post_id: str) -> None:
        """The pictures of previews before the edit may be deleted, unless they are shown again."""
        events = await self._context.events.read(f"post-{post_id}")
        previews = [each.data.preview for each in events if isinstance(each.data, LinkPreviewed)]
        if blob_ids := {each.image_blob_id for each in previews if each.image_blob_id}:
            async with self._context.database.transaction() as tx:
                await files.discard(tx, blob_ids)


def first_link(card: Post, public_url: str) -> str:
    """The link that is previewed; empty where there is none, or what it is in is not looked up."""
    if card.deleted or card.erased or card.attachments or card.quoted_id or card.audience.WhichOneof("kind") == "people":
        return ""
    try:
        found = markdown.extract(card.body).links
    except markdown.TextTooLong:
        return ""
    link = next((each for each in found if each.startswith(("http://", "https://"))), "")
    own = urlsplit(public_url).hostname if public_url else None
    with contextlib.suppress(ValueError):
        if link and len(link) <= 2_048 and urlsplit(link).hostname != own:
            return link
    return ""


class Previews:
    """Looks up what is noted, four links at once, in the one process that works for the feed."""

    def __init__(self, context: Context, resolve: Resolve | None = None) -> None:
        """For the running service; `resolve` finds the addresses of names, by default as the system does."""
        self._context = context
        self._resolve = resolve
        self._noted = asyncio.Event()
        self._private = frozenset(each for each in context.settings.link_preview_hosts.split(",") if each)

    def wake(self) -> None:
        """Look again: something was noted."""
        self._noted.set()

    async def run(self) -> None:
        """Go on until it is cancelled."""
        while self._context.settings.link_previews:
            self._noted.clear()
            try:
                again = await self.look()
            except Exception:
                _log.exception("links could not be looked up; it is tried again")
                again = False
            if not again:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # not wait_for: that of Python 3.11 may forget that it is cancelled
                        await self._noted.wait()

    async def look(self) -> bool:
        """Look up what is due now; whether there was a full round of it, so that more may wait."""
        now = self._context.now()
        async with self._context.database.snapshot() as tx:
            jobs = await queries.due(tx, micros(now), AT_ONCE)
        for job in jobs:  # counted before it is tried: what ends the process is not tried for ever
            pause = PAUSES[min(job.attempts, len(PAUSES) - 1)]
            async with self._context.database.transaction() as tx:
                await queries.count_attempt(tx, job, micros(now + pause))
        await asyncio.gather(*(self._try(job) for job in jobs))
        return len(jobs) == AT_ONCE

    async def _try(self, job: queries.Job) -> None:
        try:
            preview = await self._preview(job.url)
            command = PreviewLink(post_id=job.post_id, version=job.version, preview=preview)
            await handle(self._context.events, post, f"post-{job.post_id}", command, Metadata("service:feed"))
        except (FetchRefused, NoPreview, Rejected):
            pass
        except (FetchFailed, BlobStoreFailed, OSError):
            if job.attempts + 1 < ATTEMPTS:
                return
        except Exception:
            _log.exception("a link could not be looked up", post_id=job.post_id)
        async with self._context.database.transaction() as tx:
            await queries.settle(tx, job)

    async def _preview(self, url: str) -> LinkPreview:
        page = await self._ask(url, _PAGES, PAGE_BYTES, cut=True)
        told = await asyncio.to_thread(links.read, page.body, page.headers.get("content-type", ""), page.url)
        if not told.title:
            raise NoPreview(url)
        preview = LinkPreview(
            url=url, title=told.title, description=told.description, site_name=told.site_name, author_name=told.author_name
        )
        if told.image_url:
            # A page without its picture is a page all the same.
            with contextlib.suppress(FetchRefused, FetchFailed, NoPreview, images.ImageRefused):
                await self._picture(told.image_url, preview)
        return preview

    async def _picture(self, url: str, preview: LinkPreview) -> None:
        found = await self._ask(url, _PICTURES, IMAGE_BYTES)
        prepared = await images.prepare_aside(found.body, bytes_max=IMAGE_BYTES, pixels_max=IMAGE_PIXELS)
        shown = prepared.display if len(prepared.display.content) <= IMAGE_STORED_BYTES else prepared.thumbnail
        ref = await self._context.blobs.put(shown.content, shown.media_type, limit_bytes=max(1, len(shown.content)))
        preview.image_blob_id, preview.image_width, preview.image_height = ref.id, shown.width, shown.height

    async def _ask(self, url: str, types: frozenset[str], bytes_max: int, *, cut: bool = False) -> Fetched:
        """One answer, through at most three redirects, each looked at like the first address, and ten seconds for all of them."""
        ends = time.monotonic() + SECONDS
        for _ in range(REDIRECTS + 1):
            self._check_port(url)
            limits = Limits(seconds=max(0.1, ends - time.monotonic()), bytes_max=bytes_max, cut=cut)
            answer = await fetch(
                url, headers={"accept": ", ".join(sorted(types))}, limits=limits, allow_private=self._private, resolve=self._resolve
            )
            if answer.status in _MOVED and (target := answer.headers.get("location", "")):
                url = urljoin(url, target.strip().replace(" ", "%20"))
                continue
            if answer.status >= 500 or answer.status == 429:
                raise FetchFailed(f"it answered {answer.status}")
            if answer.status != 200 or answer.media_type not in types:
                raise NoPreview(url)
            return answer
        raise NoPreview(url)

    def _check_port(self, url: str) -> None:
        """Only the web's own ports, but for hosts that a setting names."""
        try:
            parts = urlsplit(url)
            usual = parts.port in (None, 80, 443)
        except ValueError:
            raise NoPreview(url) from None
        if not usual and (parts.hostname or "").lower() not in self._private:
            raise NoPreview(url)
