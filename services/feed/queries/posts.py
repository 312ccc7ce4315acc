"""Posts as a caller may see them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.feed_service_pb2 import Author, Post, Reaction, Revision

from ..access import JOINS, VISIBLE, reader_keys
from . import polls
from .emoji import name_emoji
from .mentions import name_places

_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)
COUNTED = 1_000

_CARDS = f"""
    SELECT p.post_id, p.card, p.author_id, p.hidden, p.reply_count, p.confirmation_count, p.version, p.position,
           a.card AS author, c.name AS community_name, m.role, r.emoji, r.save_position, r.confirmed, u.person_id AS muted
    FROM posts p
    LEFT JOIN people a ON a.person_id = p.author_id
    {JOINS}
    LEFT JOIN responses r ON r.person_id = :reader_id AND r.post_id = p.post_id
    LEFT JOIN muted_threads u ON u.person_id = :reader_id AND u.thread_id = p.thread_id
    WHERE {VISIBLE}
      AND p.hidden <= :hidden
      AND (:pictures = 0 OR p.pictures = 1)
      AND (:reposts = 1 OR p.reposted_id = '')
      AND p.post_id IN (%s)
"""


async def fetch_posts(
    tx: Transaction, caller: Caller, post_ids: Sequence[str], *, hidden: bool = True, pictures: bool = False, reposts: bool = True,
    inside: bool = False,
) -> dict[str, Post]:
    """Those of the posts that the caller may see, by id, in no order; `hidden` takes deleted and erased ones in.

    Reposts and quotes come with their original, a repost of a quote with the quoted post too; `inside` leaves quoted posts out.
    """
    if not post_ids:
        return {}
    placeholders, params = in_list("i", post_ids)
    rows = await tx.fetch(
        _CARDS % placeholders, **params, **reader_keys(caller), hidden=int(hidden), pictures=int(pictures), reposts=int(reposts)
    )
    posts = {}
    mentioned: list[Post] = []
    linked: list[Post] = []
    shared: list[Post] = []
    asking: list[Post] = []
    spoken: list[Post] = []
    reader_id, administrator = caller.person_id, caller.is_administrator
    for row in rows:
        card: bytes = row["card"]
        post = posts[row["post_id"]] = Post.FromString(card)
        if card.count(b":") > 1:  # told from the bytes, as most posts have none
            spoken.append(post)
        author_id = row["author_id"]
        _sign(post, author_id, row["author"])
        if (name := row["community_name"]) is not None:
            post.community_name = name
        if count := row["reply_count"]:
            post.reply_count = count
        if count := row["confirmation_count"]:
            post.read_confirmation_count = count
        post.etag = str(row["version"])
        post.position = row["position"]
        if (emoji := row["emoji"]) is not None:
            if emoji:
                mine = emoji.split("\n")
                for counted in post.reactions:
                    if counted.emoji in mine:
                        counted.mine = True
            post.saved = row["save_position"] > 0
            post.read_confirmed = row["confirmed"] == 1
        if row["muted"] is not None:
            post.thread_muted = True
        if post.reposted_id or (post.quoted_id and not inside):
            linked.append(post)
        if post.repost_count:
            shared.append(post)
        if post.HasField("poll"):
            asking.append(post)
        if not post.deleted:
            own = author_id == reader_id
            if own and not row["hidden"] and not post.reposted_id:
                post.can_edit = True
            moderates = administrator or (row["role"] or 0) >= _MODERATOR
            if own or moderates:
                post.can_delete = True
            if moderates and name is not None and not post.parent_id and not post.reposted_id:
                post.can_pin_in_community = True
        if post.mentions or post.praised:
            mentioned.append(post)
    if mentioned:
        await _name_mentions(tx, mentioned)
        await name_places(tx, caller, mentioned)
    if spoken:
        await name_emoji(tx, spoken)
    if linked:
        await _embed(tx, caller, posts, linked)
    if reader_id and (shared or asking):
        await _own(tx, reader_id, shared, asking)
    return posts


async def _own(tx: Transaction, reader_id: str, shared: Sequence[Post], asking: Sequence[Post]) -> None:
    """What the reader did with posts that others pass on, and with polls."""
    if shared:
        await _own_reposts(tx, reader_id, shared)
    if asking:
        await polls.fill(tx, reader_id, asking)


async def _embed(tx: Transaction, caller: Caller, posts: dict[str, Post], linked: Sequence[Post]) -> None:
    """Put originals into reposts and quotes, where the caller may see them; a repost without its original is none."""
    originals = await fetch_posts(
        tx, caller, list({post.reposted_id for post in linked if post.reposted_id}), hidden=False, reposts=False
    )
    quoted = await fetch_posts(
        tx, caller, list({post.quoted_id for post in linked if post.quoted_id}), hidden=False, reposts=False, inside=True
    )
    for post in linked:
        if post.quoted_id:
            if (found := quoted.get(post.quoted_id)) is not None:
                post.quoted.CopyFrom(found)
        elif (found := originals.get(post.reposted_id)) is not None:
            post.reposted.CopyFrom(found)
        else:
            del posts[post.post_id]


async def _own_reposts(tx: Transaction, reader_id: str, posts: Sequence[Post]) -> None:
    placeholders, params = in_list("i", [post.post_id for post in posts])
    rows = await tx.fetch(
        f"SELECT original_id, post_id FROM reposts WHERE author_id = :reader_id AND original_id IN ({placeholders})",
        reader_id=reader_id, **params,
    )
    mine = {row["original_id"]: row["post_id"] for row in rows}
    for post in posts:
        post.my_repost_id = mine.get(post.post_id, "")


async def fetch_post(tx: Transaction, caller: Caller, post_id: str) -> Post | None:
    """A post, deleted ones too; None where the caller may not see it or it does not exist."""
    return (await fetch_posts(tx, caller, (post_id,))).get(post_id)


async def _name_mentions(tx: Transaction, posts: Sequence[Post]) -> None:
    named = {mention.person_id for post in posts for mention in post.mentions if mention.person_id}
    people = await fetch_authors(tx, named | {praised.person_id for post in posts for praised in post.praised})
    for post in posts:
        for praised in post.praised:
            if (person := people.get(praised.person_id)) is not None:
                praised.CopyFrom(person)
        for mention in post.mentions:
            if (person := people.get(mention.person_id)) is not None:
                mention.handle = person.handle
                mention.display_name = person.display_name


def _sign(post: Post, author_id: str, author: bytes | None) -> None:
    """Say whose post it is; a bot's is shown by its name, too."""
    if author is None:
        post.author.person_id = author_id
        return
    post.author.MergeFromString(author)
    if post.author.bot:
        post.bot_name = post.author.display_name


async def fetch_authors(tx: Transaction, person_ids: set[str] | Sequence[str]) -> Mapping[str, Author]:
    """What posts show of people, by id; unknown ids are left out."""
    placeholders, params = in_list("i", list(person_ids))
    rows = await tx.fetch(f"SELECT person_id, card FROM people WHERE person_id IN ({placeholders})", **params)
    return {row["person_id"]: Author.FromString(row["card"]) for row in rows}


async def fetch_frame(tx: Transaction, caller: Caller, post_id: str) -> Row | None:
    """Where a post stands (thread, audience, author) and the caller's role in its community, if they may see it."""
    return await tx.fetch_one(
        f"""
        SELECT p.post_id, p.author_id, p.thread_id, p.parent_id, p.scope, p.scope_id, p.card, p.hidden, p.reply_count,
               p.reposted_id, p.version, m.role, c.archived
        FROM posts p
        {JOINS}
        WHERE p.post_id = :post_id AND {VISIBLE}
        """,
        post_id=post_id, **reader_keys(caller),
    )


async def repost_of(tx: Transaction, original_id: str, author_id: str) -> str:
    """The id of a person's repost of a post; empty where there is none."""
    row = await tx.fetch_one(
        "SELECT post_id FROM reposts WHERE original_id = :original_id AND author_id = :author_id",
        original_id=original_id, author_id=author_id,
    )
    return row["post_id"] if row else ""


async def fetch_reposters(tx: Transaction, original_id: str, before: str, limit: int) -> list[tuple[str, Author]]:
    """Who passed a post on, the newest first, with the id that pages."""
    rows = await tx.fetch(
        """
        SELECT r.post_id, r.author_id, a.card
        FROM reposts r
        LEFT JOIN people a ON a.person_id = r.author_id
        WHERE r.original_id = :original_id AND r.post_id < :before
        ORDER BY r.post_id DESC
        LIMIT :limit
        """,
        original_id=original_id, before=before, limit=limit,
    )
    return [
        (row["post_id"], Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["author_id"])) for row in rows
    ]


async def fetch_audience(tx: Transaction, post_id: str) -> Post | None:
    """The card of a thread's first post, whoever asks: for the audience its replies take."""
    row = await tx.fetch_one("SELECT card FROM posts WHERE post_id = :post_id", post_id=post_id)
    return Post.FromString(row["card"]) if row else None


async def fetch_scope(tx: Transaction, post_id: str) -> Row | None:
    """Author, thread and audience of a post, whoever asks: for `readers_among`."""
    return await tx.fetch_one(
        "SELECT post_id, author_id, thread_id, parent_id, scope, scope_id, hidden FROM posts WHERE post_id = :post_id", post_id=post_id
    )


async def fetch_replies(tx: Transaction, thread_id: str, after: str, limit: int) -> list[str]:
    """The ids of a thread's replies past one, in order of publication."""
    rows = await tx.fetch(
        """
        SELECT post_id FROM posts
        WHERE thread_id = :thread_id AND post_id > :after AND parent_id <> ''
        ORDER BY post_id
        LIMIT :limit
        """,
        thread_id=thread_id, after=after, limit=limit,
    )
    return [row["post_id"] for row in rows]


async def fetch_revisions(tx: Transaction, post_id: str) -> list[Revision]:
    """Every version of an edited post, newest first."""
    rows = await tx.fetch(
        "SELECT number, body, attachments, revise_time FROM revisions WHERE post_id = :post_id ORDER BY number DESC", post_id=post_id
    )
    revisions = []
    for row in rows:
        more = Post.FromString(row["attachments"])
        revision = Revision(number=row["number"], body=row["body"], attachments=more.attachments, warning=more.warning)
        revision.revise_time.FromMicroseconds(row["revise_time"])
        revisions.append(revision)
    return revisions


async def fetch_reactions(tx: Transaction, post_id: str, emoji: str, before: int, limit: int) -> list[tuple[int, Reaction]]:
    """Who reacted, newest first, with the position that pages."""
    rows = await tx.fetch(
        """
        SELECT r.position, r.emoji, r.person_id, r.react_time, a.card
        FROM reactions r
        LEFT JOIN people a ON a.person_id = r.person_id
        WHERE r.post_id = :post_id AND r.position < :before AND (:emoji = '' OR r.emoji = :emoji)
        ORDER BY r.position DESC
        LIMIT :limit
        """,
        post_id=post_id, emoji=emoji, before=before, limit=limit,
    )
    found = []
    for row in rows:
        person = Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["person_id"])
        reaction = Reaction(person=person, emoji=row["emoji"])
        reaction.react_time.FromMicroseconds(row["react_time"])
        found.append((row["position"], reaction))
    return found


async def count_posts_of(tx: Transaction, caller: Caller, author_id: str) -> int:
    """How many posts of a person the caller may see, replies not counted; counting ends at 1,000."""
    return await _count(tx, caller, "source_entries n", "n.source = :subject", f"person:{author_id}")


async def count_posts_with(tx: Transaction, caller: Caller, tag: str) -> int:
    """How many posts with a tag the caller may see; counting ends at 1,000."""
    return await _count(tx, caller, "post_tags n", "n.tag = :subject", tag)


async def _count(tx: Transaction, caller: Caller, source: str, condition: str, subject: str) -> int:
    row = await tx.fetch_one(
        f"""
        SELECT COUNT(*) AS total
        FROM (
            SELECT 1 AS one
            FROM {source}
            JOIN posts p ON p.post_id = n.post_id
            {JOINS}
            WHERE {condition} AND p.hidden = 0 AND p.reposted_id = '' AND {VISIBLE}
            LIMIT :counted
        ) AS seen
        """,
        subject=subject, counted=COUNTED, **reader_keys(caller),
    )
    return int(row["total"]) if row else 0


async def trending_tags(tx: Transaction, caller: Caller, since: str, limit: int) -> list[tuple[str, int]]:
    """The tags most used in the newest 1,000 uses since a post id, in what the caller may see."""
    rows = await tx.fetch(
        f"""
        SELECT tag, COUNT(*) AS uses
        FROM (
            SELECT n.tag
            FROM post_tags n
            JOIN posts p ON p.post_id = n.post_id
            {JOINS}
            WHERE n.post_id > :since AND p.hidden = 0 AND {VISIBLE}
            ORDER BY n.post_id DESC
            LIMIT :counted
        ) AS used
        GROUP BY tag
        ORDER BY uses DESC, tag
        LIMIT :limit
        """,
        since=since, counted=COUNTED, limit=limit, **reader_keys(caller),
    )
    return [(row["tag"], row["uses"]) for row in rows]


async def imported_posts(tx: Transaction, external_ids: Sequence[str]) -> dict[str, str]:
    """Post ids by external id, of those that were imported before."""
    found = {}
    for start in range(0, len(external_ids), 256):
        placeholders, params = in_list("i", external_ids[start:start + 256])
        rows = await tx.fetch(f"SELECT external_id, post_id FROM imported_posts WHERE external_id IN ({placeholders})", **params)
        found.update({row["external_id"]: row["post_id"] for row in rows})
    return found
