"""The organisation's own emoji, and where texts speak of them."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from libs.db.database import Transaction, in_list
from watercooler.feed.v1.feed_service_pb2 import CustomEmoji, Post

# A colon may end one word and begin the next.
_SHORTCODE = re.compile(r"(?=:([a-z0-9_]{2,40}):)")


async def list_emoji(tx: Transaction) -> list[CustomEmoji]:
    """Every custom emoji, by category and shortcode."""
    rows = await tx.fetch("SELECT shortcode, blob_id, category FROM custom_emoji ORDER BY category, shortcode")
    return [CustomEmoji(shortcode=row["shortcode"], blob_id=row["blob_id"], category=row["category"]) for row in rows]


async def count_emoji(tx: Transaction) -> int:
    """How many custom emoji there are."""
    row = await tx.fetch_one("SELECT COUNT(*) AS total FROM custom_emoji")
    return int(row["total"]) if row else 0


async def fetch_emoji(tx: Transaction, shortcodes: Sequence[str]) -> Mapping[str, CustomEmoji]:
    """Those of the shortcodes that are pictures."""
    wanted, params = in_list("s", shortcodes)
    rows = await tx.fetch(f"SELECT shortcode, blob_id, category FROM custom_emoji WHERE shortcode IN ({wanted})", **params)
    return {
        row["shortcode"]: CustomEmoji(shortcode=row["shortcode"], blob_id=row["blob_id"], category=row["category"]) for row in rows
    }


async def name_emoji(tx: Transaction, posts: Iterable[Post]) -> None:
    """Fill in the pictures that the posts' texts speak of; free where none has a word between colons."""
    spoken: list[tuple[Post, list[str]]] = []
    for post in posts:
        if post.body.count(":") > 1 or post.warning.count(":") > 1 or post.HasField("poll"):
            text = "\n".join([post.warning, post.body, *post.poll.poll.options])
            if shortcodes := list(dict.fromkeys(_SHORTCODE.findall(text))):
                spoken.append((post, shortcodes))
    if not spoken:
        return
    found = await fetch_emoji(tx, sorted({shortcode for _, shortcodes in spoken for shortcode in shortcodes}))
    for post, shortcodes in spoken:
        post.emojis.extend(found[shortcode] for shortcode in shortcodes if shortcode in found)
