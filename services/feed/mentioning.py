"""Members of mentioned communities and groups are told after the post is out, so that nobody waits for it who writes.

They are found once, in parts, and who was told is recorded as events. So a rebuild needs no history of memberships, the same
notifications come whichever process does it, and everything that holds for notifications (unread counts, mail, push) holds for these.
Merging at read would cost every reader a look at each of their groups instead.
"""
from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded
from libs.runtime.service import Context
from watercooler.feed.v1.events_pb2 import PostEdited, PostPublished

from .access import readers_among
from .commands.mentions import MentionMembers
from .deciders import mention
from .queries import mentions as queries
from .queries import posts as post_queries


class Mentioning:
    """Tells the members of mentioned communities and groups. Doing it twice changes nothing."""

    name = "feed.mentioning"
    handles: tuple[type[Message], ...] = (PostPublished, PostEdited)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Tell those who may see the post and have not been told of it; nobody of what was imported."""
        written = event.data
        assert isinstance(written, PostPublished | PostEdited)
        imported = isinstance(written, PostPublished) and written.external_id
        if imported or not (written.mentioned_community_ids or written.mentioned_group_ids):
            return
        after = ""
        while ids := await queries.members_of(
            self._context.database, written.mentioned_community_ids, written.mentioned_group_ids, after, mention.PEOPLE_AT_ONCE
        ):
            after = ids[-1]
            async with self._context.database.snapshot() as tx:
                post = await post_queries.fetch_scope(tx, written.post_id)
                if post is None or post["hidden"]:
                    return
                new = await readers_among(tx, post, ids) - await queries.notified_of(tx, written.post_id, ids)
            command = MentionMembers(
                post_id=written.post_id, author_id=written.author_id, person_ids=tuple(each for each in ids if each in new),
                now=self._context.now(),
            )
            await handle(
                self._context.events, mention, f"mention-{written.post_id}", command,
                Metadata("service:feed", event.meta.correlation_id, event.id, event.meta.traceparent),
            )
            await asyncio.sleep(0)
