"""Erasure: the text is gone from the read models and from the log, and a rebuild makes the very same rows."""
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.blobs.store import BlobNotFound, BlobStore, BlobStoreFailed
from libs.eventstore.model import Metadata
from libs.testing.world import tables
from services.feed.service import SERVICE
from tests.feed.worlds import MISSING, Feed, feed_of, refused
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.events_pb2 import AuthorErased, PostEdited, PostPublished
from watercooler.identity.v1 import events_pb2 as identity

SECRET_WORDS = "quite unmistakable words"


async def test_a_person_is_erased(tmp_path: Path) -> None:
    async with feed_of(tmp_path) as feed:
        ann, bob = await feed.person("ann"), await feed.person("bob")
        picture = Attachment(blob_id="b", media_type="image/png", description=SECRET_WORDS)
        root = await feed.post(bob, "root, hello @ann #tag")
        answer = await feed.post(ann, SECRET_WORDS, parent_id=root.post_id, attachments=[picture])
        own = await feed.post(ann, f"{SECRET_WORDS} #tag")
        deleted = await feed.post(ann, SECRET_WORDS)
        with feed.by(ann):
            await feed.stub.EditPost(api.EditPostRequest(post_id=own.post_id, body=f"edited {SECRET_WORDS} #tag"))
            await feed.stub.DeletePost(api.DeletePostRequest(post_id=deleted.post_id))
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=root.post_id, emoji="🎉"))
        await feed.follow(bob, ann)
        assert await feed.timeline(bob) == [f"edited {SECRET_WORDS} #tag", root.body]

        await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
        await feed.world.settle()

        assert await feed.timeline(bob) == [root.body]
        with feed.by(bob):
            thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=root.post_id))
            assert [one.display_name for one in thread.root.mentions] == [""]
            gone = thread.replies[0]
            assert (gone.post_id, gone.body, gone.erased, gone.deleted, list(gone.attachments)) == (answer.post_id, "", True, False, [])
            assert (gone.author.erased, gone.author.display_name, gone.author.handle) == (True, "", "")
            revisions = (await feed.stub.ListRevisions(api.ListRevisionsRequest(post_id=own.post_id))).revisions
            assert [one.body for one in revisions] == ["", ""]
            assert (await feed.stub.GetTag(api.GetTagRequest(tag="tag"))).post_count == 1
            reactions = (await feed.stub.ListReactions(api.ListReactionsRequest(post_id=root.post_id))).reactions
            assert [(one.emoji, one.person.erased) for one in reactions] == [("🎉", True)]
            with refused(MISSING):
                await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=ann))
        assert [one.actors[0].erased for one in await feed.notifications(bob)] == [True]

        store = feed.world.store("feed")
        assert not await _stands_anywhere(store.database, SECRET_WORDS)
        texts = [one for one in await store.tail(0, 1_000) if isinstance(one.data, PostPublished | PostEdited)]
        assert [one.data.body for one in texts if one.data.author_id == ann] == [""] * 4
        assert all(one.erased for one in texts if one.data.author_id == ann)
        assert len([one for one in await store.tail(0, 1_000) if isinstance(one.data, AuthorErased)]) == 1
        await feed.world.assert_rebuilds()

    async with feed_of(tmp_path) as again:  # and after a restart
        with again.world.acting_as(bob):
            seen = await again.stub.GetPost(api.GetPostRequest(post_id=answer.post_id))
        assert (seen.erased, seen.body) == (True, "")
        on_server = again.world.on_server
    assert on_server or SECRET_WORDS.encode() not in _after_vacuum(tmp_path)


def _after_vacuum(folder: Path) -> bytes:
    """The bytes of the database without the free pages that SQLite keeps until it needs them."""
    import sqlite3

    connection = sqlite3.connect(folder / "var" / "feed.db")
    connection.execute("VACUUM")
    connection.close()
    return (folder / "var" / "feed.db").read_bytes()


async def _stands_anywhere(database: object, text: str) -> bool:
    found = False
    async with database.snapshot() as tx:  # type: ignore[attr-defined]
        for table in tables(SERVICE):
            for row in await tx.fetch(f"SELECT * FROM {table}"):
                for key in row.keys():  # noqa: SIM118
                    value = row[key]
                    raw = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    found = found or text.encode() in raw
    return found


async def test_hearing_of_it_twice_changes_nothing(feed: Feed) -> None:
    ann = await feed.person("ann")
    await feed.post(ann, "words")
    await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
    await feed.world.settle()
    head = await feed.world.store("feed").head()
    await feed.world.store("identity").append(f"other-{ann}", 0, [identity.PersonErased(person_id=ann)], Metadata("service:test"))
    await feed.world.settle()
    assert await feed.world.store("feed").head() == head


class Away:
    """A store that cannot be reached, as far as deleting goes; everything else works."""

    def __init__(self, patch: pytest.MonkeyPatch, blobs: BlobStore) -> None:
        self.tried = asyncio.Event()
        self.away = True
        self.blobs = blobs
        delete = blobs.delete

        async def deleting(blob_id: str) -> bool:
            if self.away:
                self.tried.set()
                raise BlobStoreFailed("the bucket cannot be reached")
            return await delete(blob_id)

        patch.setattr(blobs, "delete", deleting)

    async def add(self, number: int) -> Attachment:
        """A picture of its own."""
        ref = await self.blobs.put(b"GIF89a" + bytes([number]) * 9, "image/gif", limit_bytes=100)
        return Attachment(blob_id=ref.id, media_type=ref.media_type)

    async def gone(self, picture: Attachment) -> bool:
        """Whether a picture is deleted."""
        try:
            await self.blobs.head(picture.blob_id)
        except BlobNotFound:
            return True
        return False


async def test_files_are_deleted_once_their_store_is_back(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Away(monkeypatch, feed.world.embedded.engines.blobs())
    ann, bob = await feed.person("ann"), await feed.person("bob")
    deleted, former, shown, shared = [await store.add(number) for number in range(4)]
    post = await feed.post(ann, "soon deleted", attachments=[deleted])
    edited = await feed.post(ann, "edited", attachments=[former])
    await feed.post(bob, "mine", attachments=[shared])
    with feed.by(ann):
        await feed.stub.EditPost(api.EditPostRequest(post_id=edited.post_id, body="other", attachments=[shown, shared]))
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))
    async with asyncio.timeout(60):
        await store.tried.wait()
        # While one waits for the store the erasure goes on: when the store is back nobody knows any more what the person showed.
        log = feed.world.store("feed")
        await feed.world.store("identity").append(f"other-{ann}", 0, [identity.PersonErased(person_id=ann)], Metadata("service:test"))
        while not any(isinstance(one.data, AuthorErased) for one in await log.tail(0, 1_000)):
            await asyncio.sleep(0.02)
    assert not any([await store.gone(picture) for picture in (deleted, former, shown, shared)])
    store.away = False
    await feed.world.settle()
    assert [await store.gone(picture) for picture in (deleted, former, shown, shared)] == [True, True, True, False]
    assert [dict(row)["blob_id"] for row in await log.database.fetch("SELECT blob_id FROM discarded_files")] == [shared.blob_id]
    assert not await log.database.fetch("SELECT * FROM parked")
    await feed.world.assert_rebuilds()


async def test_a_file_that_two_show_goes_with_the_last(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Away(monkeypatch, feed.world.embedded.engines.blobs())
    store.away = False
    ann = await feed.person("ann")
    picture = await store.add(1)
    posts = [await feed.post(ann, body, attachments=[picture]) for body in ("one", "two")]
    for post, gone in zip(posts, (False, True), strict=True):
        with feed.by(ann):
            await feed.stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))
        await feed.world.settle()
        assert await store.gone(picture) is gone
