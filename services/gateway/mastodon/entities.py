"""Mastodon's entities, made of the services' messages: pure functions, one an entity, that answer plain dictionaries ready for JSON.

Fields that a company network has no use for are there and empty, as clients expect them to be there.
"""
from __future__ import annotations

import hashlib
import hmac
import html
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from google.protobuf.timestamp_pb2 import Timestamp

from libs.text import ids, markdown
from watercooler.common.v1 import audience_pb2, blob_pb2
from watercooler.feed.v1 import drafting_events_pb2 as drafting_events
from watercooler.feed.v1 import drafting_service_pb2 as drafting
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_events_pb2 as reading_events
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.identity.v1 import identity_service_pb2 as identity

Entity = dict[str, Any]

HEART: Final = "❤️"
# Addresses of images carry their own right to be read, for at least one of these and at most two.
IMAGE_DAYS: Final = 7
# Grey: what a picture looks like is not known before it is there.
BLURHASH: Final = "00N17T"
HISTORY_DAYS: Final = 7
FIELD_CHARACTERS: Final = 255

_LINK = re.compile(r'<a href="(/?)([^"]*)"( class="hashtag")?')
_WINDOW = IMAGE_DAYS * 86_400


@dataclass(slots=True, eq=False)
class Site:
    """Where this network is, and the key that signs the addresses of its images."""

    base: str
    key: bytes
    _signed: dict[str, str] = field(default_factory=dict)
    _until: int = 0

    @classmethod
    def of(cls, base: str, signing_key: str) -> Site:
        """At an address."""
        return cls(base, hashlib.sha256(b"images\0" + signing_key.encode()).digest())

    @property
    def window(self) -> int:
        """Changes when the addresses of images do."""
        return int(time.time()) // _WINDOW

    def image(self, blob_id: str, *, small: bool = False) -> str:
        """The address of an image, readable without a sign-in for a week or two by whoever has it: programs fetch images bare."""
        until = (self.window + 2) * _WINDOW
        if until != self._until or len(self._signed) > 20_000:
            self._signed.clear()
            self._until = until
        found = self._signed.get(blob_id)
        if found is None:
            found = f"{self.base}/media/{quote(blob_id)}?until={until}&key={self._mark(blob_id, until)}"
            self._signed[blob_id] = found
        return f"{found}&size=thumbnail" if small else found

    def may_read(self, blob_id: str, until: str, key: str) -> bool:
        """Whether an address of an image is one of ours and has not ended."""
        if not (until.isascii() and until.isdigit() and len(until) <= 12) or int(until) < time.time():
            return False
        return hmac.compare_digest(self._mark(blob_id, int(until)).encode(), key.encode("utf-8", "replace"))

    def _mark(self, blob_id: str, until: int) -> str:
        return hmac.digest(self.key, f"{blob_id} {until}".encode(), "sha256").hex()[:40]


# --- small things ----------------------------------------------------------------------------------------------------


def moment(stamp: Timestamp) -> str:
    """A time as Mastodon writes it."""
    return of_seconds(stamp.seconds, stamp.nanos // 1_000_000)


def of_seconds(seconds: int, milliseconds: int = 0) -> str:
    """A time as Mastodon writes it, from seconds since 1970."""
    found = time.gmtime(seconds)
    return (
        f"{found.tm_year:04}-{found.tm_mon:02}-{found.tm_mday:02}T{found.tm_hour:02}:{found.tm_min:02}:{found.tm_sec:02}"
        f".{milliseconds:03}Z"
    )


def of_datetime(value: datetime) -> str:
    """A time as Mastodon writes it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_at(some_id: str) -> str:
    """When an id was made; 1970 for one that does not tell."""
    try:
        return of_datetime(ids.time_of(some_id))
    except ValueError:
        return of_seconds(0)


def rendered(text: str, site: Site, mentions: Mapping[str, tuple[str, str]] | None = None) -> str:
    """Markdown as HTML with whole addresses; a text too long for it as typed."""
    if not text:
        return ""
    try:
        found = markdown.render(text, mentions=mentions)
    except markdown.TextTooLong:
        return f"<p>{html.escape(text)}</p>"

    def whole(match: re.Match[str]) -> str:
        base = f"{site.base}/" if match[1] else ""
        return f'<a href="{base}{match[2]}"' + (' class="mention hashtag"' if match[3] else "")

    return _LINK.sub(whole, found).strip()


# --- accounts --------------------------------------------------------------------------------------------------------


def account_of_author(author: feed.Author, site: Site, *, bot_name: str = "") -> Entity:
    """The account of a person as named beside their work: its counts and its text are at its own address."""
    title = author.title
    return _account(
        site, author.person_id, author.handle, bot_name or author.display_name, author.photo_blob_id,
        note=f"<p>{html.escape(title)}</p>" if title else "", created=made_at(author.person_id), suspended=author.left or author.erased,
        bot=bool(bot_name),
    )


def account_of_person(person: identity.Person, site: Site, standing: feed.Relationship | None = None) -> Entity:
    """The account of a person, with counts where the feed was asked for them."""
    profile = person.profile
    created = moment(person.add_time) if person.HasField("add_time") else made_at(person.person_id)
    found = _account(
        site, person.person_id, profile.handle, person.display_name or profile.name, person.photo_blob_id,
        note=rendered(profile.about, site), created=created, suspended=person.state not in (0, identity.PERSON_STATE_ACTIVE),
    )
    found["fields"] = fields_of(person)
    if standing is not None:
        found["followers_count"] = standing.follower_count
        found["following_count"] = standing.following_count
        found["statuses_count"] = standing.post_count
    return found


def account_of_community(community: feed.Community, site: Site) -> Entity:
    """A community as a group account."""
    created = moment(community.create_time) if community.HasField("create_time") else made_at(community.community_id)
    about = rendered(community.description, site)
    if community.rules:
        about += rendered(community.rules, site)
    found = _account(
        site, community.community_id, community.handle, community.name, "", note=about, created=created,
        locked=community.kind != feed_events.COMMUNITY_KIND_OPEN, group=True,
    )
    found["followers_count"] = community.member_count
    found["statuses_count"] = community.post_count
    if community.HasField("last_post_time"):
        found["last_status_at"] = moment(community.last_post_time)[:10]
    return found


def _account(
    site: Site, account_id: str, handle: str, name: str, photo: str, *, note: str, created: str, suspended: bool = False,
    locked: bool = False, group: bool = False, bot: bool = False,
) -> Entity:
    base = site.base
    username = handle or account_id
    avatar = site.image(photo, small=True) if photo else f"{base}/avatars/{'group' if group else 'person'}.png"
    url = f"{base}/communities/{account_id}" if group else f"{base}/people/{account_id}"
    header = f"{base}/avatars/header.png"
    found: Entity = {
        "id": account_id, "username": username, "acct": username, "display_name": name, "locked": locked, "bot": bot,
        "discoverable": True, "indexable": True, "group": group, "created_at": created[:10] + "T00:00:00.000Z", "note": note,
        "url": url, "uri": url, "avatar": avatar, "avatar_static": avatar, "avatar_description": "", "header": header,
        "header_static": header, "header_description": "", "followers_count": 0, "following_count": 0, "statuses_count": 0,
        "last_status_at": None, "hide_collections": False, "noindex": True, "emojis": [], "roles": [], "fields": [],
        "mute_expires_at": None, "show_media": True, "show_media_replies": True, "show_featured": False,
    }
    if suspended:  # has left: the work stays, nobody answers any more
        found["limited"] = True
    return found


def fields_of(person: identity.Person) -> list[Entity]:
    """What the directory knows of a person, as lines of a profile: title, department and place first, then how to reach them."""
    profile = person.profile
    lines = [("Title", profile.title), ("Department", profile.department), ("Location", profile.location)]
    lines += sorted(profile.contact.items())
    return [{"name": name, "value": html.escape(value), "verified_at": None} for name, value in lines if value]


def credentials(person: identity.Person, site: Site, standing: feed.Relationship, requests: int, is_administrator: bool) -> Entity:
    """The account of whoever asks, with what an editor of the profile needs."""
    found = account_of_person(person, site, standing)
    languages = person.profile.languages
    found["source"] = {
        "privacy": "public", "sensitive": False, "language": languages[0] if languages else None, "note": person.profile.about,
        "fields": [{"name": name, "value": value, "verified_at": None} for name, value in sorted(person.profile.contact.items())],
        "follow_requests_count": requests, "indexable": True, "hide_collections": False, "discoverable": True,
        "attribution_domains": [], "quote_policy": "public",
    }
    found["role"] = {
        "id": "1" if is_administrator else "-99", "name": "Administrator" if is_administrator else "", "permissions": "0", "color": "",
        "highlighted": False,
    }
    return found


def relationship(bond: reading.Bond) -> Entity:
    """How whoever asks and a person stand to each other."""
    return _relationship(
        bond.person_id, following=bond.following, followed_by=bond.followed_by, blocking=bond.blocked, muting=bond.muted,
        muting_notifications=bond.notifications_muted, note=bond.note,
        muting_expires_at=moment(bond.mute_expire_time) if bond.HasField("mute_expire_time") else None,
    )


def relationship_to_community(community: feed.Community) -> Entity:
    """A member follows the group account; who asked to join has requested to."""
    return _relationship(
        community.community_id, following=community.my_role != feed_events.MEMBER_ROLE_UNSPECIFIED, requested=community.join_requested
    )


def _relationship(account_id: str, **facts: Any) -> Entity:
    found: Entity = {
        "id": account_id, "following": False, "showing_reblogs": True, "notifying": False, "languages": None, "followed_by": False,
        "blocking": False, "blocked_by": False, "muting": False, "muting_notifications": False, "muting_expires_at": None,
        "requested": False, "requested_by": False, "domain_blocking": False, "endorsed": False, "note": "",
    }
    found.update(facts)
    return found


# --- statuses --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What a post names by id only: communities by id, people of a direct post by id, the writer of the post answered."""

    communities: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    people: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)


NOTHING_KNOWN: Final = Known()
_VISIBILITY: Final = {"everyone": "public", "people": "direct"}


def visibility(audience: audience_pb2.Audience) -> str:
    """Everyone is public, named people are direct, and whatever is between is private."""
    return _VISIBILITY.get(audience.WhichOneof("kind") or "", "private")


def status(post: feed.Post, site: Site, known: Known = NOTHING_KNOWN, *, depth: int = 0) -> Entity:
    """A post."""
    base = site.base
    post_id = post.post_id
    url = f"{base}/posts/{post_id}"
    reposted = post.reposted if post.reposted_id and post.HasField("reposted") else None
    shown_in = visibility(post.audience)
    count = 0
    mine = False
    for each in post.reactions:
        count += each.count
        mine = mine or each.mine
    emojis = [emoji(each, site) for each in post.emojis]
    result: Entity = {
        "id": post_id, "created_at": moment(post.publish_time), "in_reply_to_id": post.parent_id or None,
        "in_reply_to_account_id": known.parents.get(post.parent_id) if post.parent_id else None, "sensitive": post.sensitive,
        "spoiler_text": post.warning, "visibility": shown_in, "language": post.language or None, "uri": url, "url": url,
        "replies_count": post.reply_count, "reblogs_count": post.repost_count, "favourites_count": count,
        "quotes_count": post.quote_count, "edited_at": moment(post.edit_time) if post.HasField("edit_time") else None,
        "favourited": mine, "reblogged": bool(post.my_repost_id) or (reposted is not None and bool(reposted.my_repost_id)),
        "muted": post.thread_muted, "bookmarked": post.saved, "content": content(post, site), "reblog": None,
        "account": account_of_author(post.author, site, bot_name=post.bot_name),
        "media_attachments": [attachment(each, site) for each in post.attachments], "mentions": mentions(post, site, known),
        "tags": [{"name": tag, "url": f"{base}/tags/{quote(tag, safe='')}"} for tag in post.tags], "emojis": emojis,
        "card": card(post.preview, site) if post.HasField("preview") else None,
        "poll": poll(post, emojis) if post.HasField("poll") else None, "quote": _quote(post, site, known, depth),
        "quote_approval": {
            "automatic": ["public"] if shown_in == "public" else [], "manual": [],
            "current_user": "automatic" if shown_in == "public" else "denied",
        },
        "tagged_collections": [], "pinned": post.pinned, "filtered": [filter_result(each) for each in post.filters],
    }
    if reposted is not None:
        result["reblog"] = status(reposted, site, known, depth=depth + 1)
        result["content"] = result["reblog"]["content"]
        result["media_attachments"] = result["reblog"]["media_attachments"]
        for name in ("favourited", "bookmarked", "favourites_count", "reblogs_count", "replies_count", "sensitive", "spoiler_text"):
            result[name] = result["reblog"][name]
    return result


def content(post: feed.Post, site: Site) -> str:
    """The text of a post as HTML."""
    named = {
        each.handle.lower(): (each.person_id, each.display_name) for each in post.mentions if each.handle and each.person_id
    }
    return rendered(post.body, site, named)


def mentions(post: feed.Post, site: Site, known: Known) -> list[Entity]:
    """The accounts a post is for or names: the community it stands in first, then people and communities of its text."""
    found: dict[str, Entity] = {}
    kind = post.audience.WhichOneof("kind")
    if kind == "community_id":
        community_id = post.audience.community_id
        handle = known.communities.get(community_id, ("", ""))[0]
        if handle:
            found[community_id] = _mention(community_id, handle, f"{site.base}/communities/{community_id}")
    elif kind == "people":
        for person_id in post.audience.people.person_ids:
            handle = known.people.get(person_id, ("", ""))[0]
            if handle and person_id != post.author.person_id:
                found[person_id] = _mention(person_id, handle, f"{site.base}/people/{person_id}")
    for each in post.mentions:
        if each.person_id:
            found.setdefault(each.person_id, _mention(each.person_id, each.handle, f"{site.base}/people/{each.person_id}"))
        elif each.community_id:
            found.setdefault(each.community_id, _mention(each.community_id, each.handle, f"{site.base}/communities/{each.community_id}"))
    return list(found.values())


def _mention(account_id: str, handle: str, url: str) -> Entity:
    return {"id": account_id, "username": handle, "acct": handle, "url": url}


def _quote(post: feed.Post, site: Site, known: Known, depth: int) -> Entity | None:
    if not post.quoted_id:
        return None
    if depth > 1:
        return {"state": "accepted", "quoted_status_id": post.quoted_id}
    if not post.HasField("quoted"):
        return {"state": "deleted", "quoted_status": None}
    return {"state": "accepted", "quoted_status": status(post.quoted, site, known, depth=depth + 1)}


def attachment(given: blob_pb2.Attachment, site: Site) -> Entity:
    """A picture."""
    url = site.image(given.blob_id)
    return media(given.blob_id, url, given.media_type, given.description, given.width, given.height)


def media(media_id: str, url: str, media_type: str, description: str, width: int, height: int) -> Entity:
    """A picture, attached or not yet."""
    kind = "image" if media_type.startswith("image/") else "unknown"
    size = {"width": width, "height": height, "size": f"{width}x{height}", "aspect": round(width / height, 4) if height else 1.0}
    return {
        "id": media_id, "type": kind, "url": url, "preview_url": url, "remote_url": None, "preview_remote_url": None, "text_url": url,
        "meta": {"original": size, "small": size, "focus": {"x": 0.0, "y": 0.0}}, "description": description or None,
        "blurhash": BLURHASH,
    }


def card(preview: feed_events.LinkPreview, site: Site) -> Entity:
    """What the first link of a post leads to."""
    author = preview.author_name
    return {
        "url": preview.url, "title": preview.title or preview.url, "description": preview.description, "language": "", "type": "link",
        "author_name": author, "author_url": "", "provider_name": preview.site_name, "provider_url": "", "html": "",
        "width": preview.image_width, "height": preview.image_height,
        "image": site.image(preview.image_blob_id) if preview.image_blob_id else None, "image_description": "", "embed_url": "",
        "blurhash": None, "published_at": None, "authors": [{"name": author, "url": "", "account": None}] if author else [],
        "missing_attribution": False,
    }


def poll(post: feed.Post, emojis: Sequence[Entity] = ()) -> Entity:
    """A poll, named by its post."""
    held = post.poll
    counts = [*held.counts, *[0] * (len(held.poll.options) - len(held.counts))]
    return {
        "id": post.post_id, "expires_at": moment(held.poll.close_time) if held.poll.HasField("close_time") else None,
        "expired": held.closed, "multiple": held.poll.multiple, "votes_count": sum(held.counts), "voters_count": held.voter_count,
        "voted": held.voted, "own_votes": list(held.my_choices),
        "options": [{"title": title, "votes_count": count} for title, count in zip(held.poll.options, counts, strict=False)],
        "emojis": list(emojis),
    }


def emoji(given: feed.CustomEmoji, site: Site) -> Entity:
    """A picture that stands for `:shortcode:`."""
    url = site.image(given.blob_id)
    return {
        "shortcode": given.shortcode, "url": url, "static_url": url, "visible_in_picker": not given.hidden,
        "category": given.category or None,
    }


def revision(given: feed.Revision, post: feed.Post, site: Site) -> Entity:
    """A version of a post."""
    shown = feed.Post()
    shown.CopyFrom(post)
    shown.body = given.body
    return {
        "content": content(shown, site), "spoiler_text": post.warning, "sensitive": post.sensitive, "created_at": moment(given.revise_time),
        "account": account_of_author(post.author, site, bot_name=post.bot_name),
        "media_attachments": [attachment(each, site) for each in given.attachments], "emojis": [emoji(each, site) for each in post.emojis],
    }


def scheduled(draft: drafting.Draft, site: Site) -> Entity:
    """A post that is to be published at its time."""
    held = draft.content
    return {
        "id": draft.draft_id, "scheduled_at": moment(draft.publish_time) if draft.HasField("publish_time") else moment(draft.save_time),
        "params": {
            "text": held.body, "in_reply_to_id": held.parent_id or None, "media_ids": [each.blob_id for each in held.attachments],
            "sensitive": held.sensitive, "visibility": visibility(held.audience) if held.HasField("audience") else "public",
            "idempotency": None, "scheduled_at": None, "spoiler_text": held.warning, "application_id": "0",
            "poll": _draft_poll(held), "language": held.language or None, "allowed_mentions": None, "with_rate_limit": False,
            "quoted_status_id": held.quoted_id or None, "quote_approval_policy": None,
        },
        "media_attachments": [attachment(each, site) for each in held.attachments],
    }


def _draft_poll(held: drafting_events.DraftContent) -> Entity | None:
    if not held.HasField("poll"):
        return None
    return {
        "options": list(held.poll.options), "multiple": held.poll.multiple, "hide_totals": False, "expires_in": str(held.poll_seconds)
    }


# --- tags ------------------------------------------------------------------------------------------------------------


def tag(given: feed.Tag, site: Site) -> Entity:
    """A tag; of its history only the sum is known, which stands on the newest day."""
    today = int(time.time()) // 86_400
    history = [
        {"day": str((today - day) * 86_400), "uses": str(given.post_count if day == 0 else 0), "accounts": "0"}
        for day in range(HISTORY_DAYS)
    ]
    return {
        "id": given.tag, "name": given.tag, "url": f"{site.base}/tags/{quote(given.tag, safe='')}", "history": history,
        "following": given.following, "featuring": False, "trendable": True, "usable": True, "requires_review": False,
    }


# --- lists and filters -----------------------------------------------------------------------------------------------


def people_list(given: reading.PeopleList) -> Entity:
    """A list of people."""
    return {"id": given.list_id, "title": given.title, "replies_policy": "none", "exclusive": given.exclusive}


CONTEXTS: Final[dict[str, reading_events.FilterContext.ValueType]] = {
    "home": reading_events.FILTER_CONTEXT_HOME, "notifications": reading_events.FILTER_CONTEXT_NOTIFICATIONS,
    "public": reading_events.FILTER_CONTEXT_PUBLIC, "thread": reading_events.FILTER_CONTEXT_THREAD,
    "account": reading_events.FILTER_CONTEXT_PERSON,
}
_CONTEXT_NAMES: Final = {int(value): name for name, value in CONTEXTS.items()}


def filter_v2(given: reading.Filter) -> Entity:
    """A filter with its keywords."""
    return {
        "id": given.filter_id, "title": given.title, "context": [_CONTEXT_NAMES[each] for each in given.contexts if each in _CONTEXT_NAMES],
        "expires_at": moment(given.expire_time) if given.HasField("expire_time") else None,
        "filter_action": "hide" if given.action == reading_events.FILTER_ACTION_HIDE else "warn",
        "keywords": [keyword(each) for each in given.keywords], "statuses": [],
    }


def keyword(given: reading_events.FilterKeyword) -> Entity:
    """A word of a filter."""
    return {"id": given.keyword_id, "keyword": given.text, "whole_word": given.whole_word}


def filter_v1(given: reading.Filter, word: reading_events.FilterKeyword) -> Entity:
    """One word of a filter, as older clients know filters."""
    whole = filter_v2(given)
    return {
        "id": word.keyword_id, "phrase": word.text, "context": whole["context"], "whole_word": word.whole_word,
        "expires_at": whole["expires_at"], "irreversible": whole["filter_action"] == "hide",
    }


def filter_result(given: feed.FilterMatch) -> Entity:
    """A filter that matched a post."""
    return {
        "filter": {
            "id": given.filter_id, "title": given.title, "context": ["home", "notifications", "public", "thread", "account"],
            "expires_at": None, "filter_action": "warn", "keywords": [], "statuses": [],
        },
        "keyword_matches": list(given.keywords), "status_matches": None,
    }


# --- notifications ---------------------------------------------------------------------------------------------------

# What others did, in Mastodon's words; what has no word there and no post is left out.
TYPES: Final[dict[int, str]] = {
    feed.NOTIFICATION_KIND_MENTION: "mention", feed.NOTIFICATION_KIND_REPLY: "mention", feed.NOTIFICATION_KIND_DIRECT: "mention",
    feed.NOTIFICATION_KIND_REACTION: "favourite", feed.NOTIFICATION_KIND_FOLLOW: "follow",
    feed.NOTIFICATION_KIND_JOIN_REQUEST: "follow_request", feed.NOTIFICATION_KIND_REPOST: "reblog",
    feed.NOTIFICATION_KIND_QUOTE: "mention", feed.NOTIFICATION_KIND_POLL: "poll", feed.NOTIFICATION_KIND_PRAISE: "mention",
    feed.NOTIFICATION_KIND_BEST_ANSWER: "status", feed.NOTIFICATION_KIND_QUESTION: "status",
    feed.NOTIFICATION_KIND_ANNOUNCEMENT: "status", feed.NOTIFICATION_KIND_REMINDER: "status",
    feed.NOTIFICATION_KIND_CORRECTION: "update", feed.NOTIFICATION_KIND_DECISION: "status", feed.NOTIFICATION_KIND_POST: "status",
    feed.NOTIFICATION_KIND_EDIT: "update",
}
WITHOUT_POST: Final = frozenset({"follow", "follow_request"})


def notification_type(given: feed.Notification) -> str:
    """Mastodon's word for a notification; empty for one that it has none for."""
    kind = TYPES.get(given.kind, "")
    if not kind or (not given.actors and not given.HasField("post")):
        return ""
    return kind if kind in WITHOUT_POST or given.HasField("post") else ""


def notification_account(given: feed.Notification, site: Site) -> Entity:
    """Whose doing it was last."""
    return account_of_author(given.actors[0] if given.actors else given.post.author, site)


def group_key(given: feed.Notification) -> str:
    """What keeps a group of notifications together."""
    kind = notification_type(given)
    return f"{kind}-{given.notification_id}" if kind in ("favourite", "follow", "reblog") else f"ungrouped-{given.position}"
