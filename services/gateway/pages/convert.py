"""What the services answer, as the pages show it."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from markupsafe import Markup, escape

from libs.text import markdown
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.search.v1 import search_service_pb2 as search

from ..queries import Session
from ..views import (
    AudienceView,
    ChartNode,
    CommunityKind,
    CommunityRef,
    CommunityRow,
    CommunityView,
    Fact,
    ImageView,
    Membership,
    NotificationView,
    PersonRef,
    PersonRow,
    PersonView,
    PollOption,
    PollView,
    PostView,
    PreviewView,
    ReactionView,
    ReadConfirmation,
    Role,
    SearchResult,
    SessionView,
    TokenView,
)

ROLES: Final[dict[identity_events.Role.ValueType, Role]] = {
    identity_events.ROLE_EMPLOYEE: "employee", identity_events.ROLE_GUEST: "guest",
    identity_events.ROLE_COMMUNICATIONS: "communications", identity_events.ROLE_LEADER: "leader",
    identity_events.ROLE_ADMINISTRATOR: "administrator", identity_events.ROLE_BOT: "bot",
}
KINDS: Final[dict[int, CommunityKind]] = {
    feed_events.COMMUNITY_KIND_OPEN: "open", feed_events.COMMUNITY_KIND_CLOSED: "closed", feed_events.COMMUNITY_KIND_SECRET: "secret",
}
MEMBERSHIPS: Final[dict[int, Membership]] = {
    feed_events.MEMBER_ROLE_MEMBER: "member", feed_events.MEMBER_ROLE_MODERATOR: "moderator", feed_events.MEMBER_ROLE_OWNER: "owner",
}
NOTIFICATIONS: Final[dict[int, str]] = {
    feed.NOTIFICATION_KIND_MENTION: "mention", feed.NOTIFICATION_KIND_REPLY: "reply", feed.NOTIFICATION_KIND_REACTION: "reaction",
    feed.NOTIFICATION_KIND_FOLLOW: "follow", feed.NOTIFICATION_KIND_JOIN_REQUEST: "join_request",
    feed.NOTIFICATION_KIND_JOINED: "admitted", feed.NOTIFICATION_KIND_DIRECT: "post", feed.NOTIFICATION_KIND_REPOST: "repost",
    feed.NOTIFICATION_KIND_QUOTE: "quote", feed.NOTIFICATION_KIND_POLL: "poll", feed.NOTIFICATION_KIND_PRAISE: "praise",
    feed.NOTIFICATION_KIND_BEST_ANSWER: "best_answer", feed.NOTIFICATION_KIND_QUESTION: "question",
    feed.NOTIFICATION_KIND_ANNOUNCEMENT: "announcement", feed.NOTIFICATION_KIND_REMINDER: "reminder",
    feed.NOTIFICATION_KIND_CORRECTION: "correction", feed.NOTIFICATION_KIND_DECISION: "decision",
    feed.NOTIFICATION_KIND_MODERATION: "moderation", feed.NOTIFICATION_KIND_EDIT: "edit", feed.NOTIFICATION_KIND_DRAFT: "draft",
    feed.NOTIFICATION_KIND_WEBHOOK: "webhook",
}
POST_KINDS: Final[dict[int, Literal["plain", "question", "praise", "announcement"]]] = {
    feed_events.POST_KIND_QUESTION: "question", feed_events.POST_KIND_PRAISE: "praise", feed_events.POST_KIND_ANNOUNCEMENT: "announcement",
}
PHONE_LABELS: Final = ("Phone", "Mobile", "Desk phone", "Telephone")
EXCERPT_CHARACTERS: Final = 160

_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{5,30}")
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"))
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def moment(stamp: Timestamp) -> datetime:
    """A timestamp as an aware datetime."""
    return stamp.ToDatetime(UTC)


def optional_moment(message: Any, name: str) -> datetime | None:
    """A timestamp that may be unset."""
    return moment(getattr(message, name)) if message.HasField(name) else None


def picture(blob_id: str) -> str:
    """The address of an image."""
    return f"/media/{blob_id}"


def photo(blob_id: str) -> str:
    """The address of a person's photo, small and square; empty where there is none."""
    return f"/media/{blob_id}?size=thumbnail" if blob_id else ""


# --- people -----------------------------------------------------------------------------------------------------------


def person(found: identity.Person) -> PersonRef:
    """A person from identity."""
    profile = found.profile
    return PersonRef(
        id=found.person_id, name=found.display_name or profile.name or profile.email, handle=profile.handle, title=profile.title,
        pronouns=profile.pronouns, photo_url=photo(found.photo_blob_id), has_left=found.state == identity.PERSON_STATE_LEFT,
        is_erased=found.state == identity.PERSON_STATE_ERASED, is_bot=identity_events.ROLE_BOT in found.roles,
    )


def author(found: feed.Author) -> PersonRef:
    """A person as feed names them."""
    return PersonRef(
        id=found.person_id, name=found.display_name, handle=found.handle, title=found.title, photo_url=photo(found.photo_blob_id),
        has_left=found.left and not found.erased, is_erased=found.erased, is_bot=found.bot,
    )


def person_row(found: identity.Person, me: str, followed: frozenset[str], *, may_follow: bool = True) -> PersonRow:
    """A person in a list."""
    return PersonRow(
        person=person(found), department=found.profile.department, location=found.profile.location,
        is_following=found.person_id in followed,
        can_follow=may_follow and found.person_id != me and found.state == identity.PERSON_STATE_ACTIVE,
    )


def author_row(found: feed.Author, me: str, followed: frozenset[str], *, may_follow: bool = True) -> PersonRow:
    """A person whom feed names, in a list."""
    return PersonRow(
        person=author(found), is_following=found.person_id in followed,
        can_follow=may_follow and found.person_id != me and not found.left and not found.erased,
    )


def roles(found: identity.Person) -> list[Role]:
    """What a person may do, in the order of the roles."""
    return [ROLES[role] for role in sorted(found.roles) if role in ROLES]


def person_view(
    found: identity.Person, chart: identity.OrganizationChart | None, communities: Iterable[feed.Community],
    relation: feed.Relationship | None, me: str,
) -> PersonView:
    """A person, whole."""
    profile = found.profile
    managers = [person(each) for each in chart.managers] if chart is not None else []
    reports = [person(each.person) for each in chart.nodes[0].reports] if chart is not None and chart.nodes else []
    return PersonView(
        person=person(found), department=profile.department, location=profile.location, time_zone=profile.time_zone,
        start_date=_date(profile.start_date), about_html=rendered(profile.about), facts=facts(profile), languages=list(profile.languages),
        manager=managers[-1] if managers else None, reports=reports, communities=[community_ref(each) for each in communities],
        follower_count=relation.follower_count if relation else 0, following_count=relation.following_count if relation else 0,
        post_count=relation.post_count if relation else 0, is_following=relation.following if relation else False,
        is_self=found.person_id == me, leave_time=optional_moment(found, "leave_time"), roles=roles(found),
    )


def facts(profile: identity_events.Profile) -> list[Fact]:
    """How a person is reached, and what else the directory knows."""
    lines: list[Fact] = []
    if profile.email:
        lines.append(Fact(label="E-mail", value=profile.email, url=f"mailto:{profile.email}", kind="email"))
    for label, value in sorted(profile.contact.items()):
        if _PHONE.fullmatch(value.strip()):
            lines.append(Fact(label=label, value=value, url="tel:" + re.sub(r"[^+0-9]", "", value), kind="phone"))
        elif value.startswith("https://") and not any(character.isspace() for character in value):
            lines.append(Fact(label=label, value=value.removeprefix("https://").rstrip("/"), url=value, kind="link"))
        else:
            lines.append(Fact(label=label, value=f"{label}: {value}"))
    lines += [Fact(label=label, value=f"{label}: {value}") for label, value in sorted(profile.custom_fields.items())]
    return lines


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def chart_node(node: identity.ChartNode, centre: str = "") -> ChartNode:
    """A person in the chart with those below."""
    return ChartNode(
        person=person(node.person), reports=[chart_node(each, centre) for each in node.reports], report_count=node.person.report_count,
        is_centre=node.person.person_id == centre,
    )


# --- posts ------------------------------------------------------------------------------------------------------------


def rendered(
    text: str, mentions: Mapping[str, tuple[str, str]] | None = None, *, places: Mapping[str, tuple[str, str]] | None = None,
    emoji: Mapping[str, str] | None = None,
) -> str:
    """Markdown as HTML; a text too long for it is shown as typed."""
    try:
        return markdown.render(text, mentions=mentions, places=places, emoji=emoji) if text else ""
    except markdown.TextTooLong:
        return str(Markup("<p>{}</p>").format(text))


def audience(found: Audience, community_name: str, people: Mapping[str, PersonRef]) -> AudienceView:
    """Who may see a post."""
    match found.WhichOneof("kind"):
        case "followers_of_id":
            return AudienceView(kind="followers")
        case "group_id":
            return AudienceView(kind="group", name=community_name)
        case "community_id":
            return AudienceView(kind="community", name=community_name, url=f"/communities/{found.community_id}")
        case "chart_of_id":
            return AudienceView(kind="chart", name=community_name)
        case "people":
            ids = list(found.people.person_ids)
            return AudienceView(kind="people", people=[people[each] for each in ids if each in people][:5], size=len(ids))
        case _:
            return AudienceView(kind="everyone")


def places(mentions: Iterable[feed.Mention]) -> dict[str, tuple[str, str]]:
    """The addresses and names of the communities and groups that a text mentions, by what they are called in it."""
    found: dict[str, tuple[str, str]] = {}
    for each in mentions:
        if each.community_id and each.handle:
            found[each.handle] = (f"/communities/{each.community_id}", each.display_name)
        elif each.group_id and each.handle:
            place = (f"/groups/{each.group_id}", each.display_name)
            found.setdefault(each.handle, place)
            found[f"{each.handle}-group"] = place  # where a community is called like it
    return found


def post(
    found: feed.Post, *, people: Mapping[str, PersonRef] | None = None, parents: Mapping[str, feed.Post] | None = None,
    replies: Sequence[PostView] = (), can_reply: bool = True,
) -> PostView:
    """A post or reply; a repost is its original, and who passed it on."""
    if found.HasField("reposted"):
        original = post(found.reposted, people=people, parents=parents, can_reply=can_reply)
        return msgspec.structs.replace(
            original, reposted_by=author(found.author), repost_id=found.post_id, repost_time=moment(found.publish_time),
            reasons=list(found.reasons), filtered=[each.title for each in found.filters],
        )
    mentions = {each.handle.lower(): (each.person_id, each.display_name) for each in found.mentions if each.handle and each.person_id}
    emoji = {each.shortcode: picture(each.blob_id) for each in found.emojis} if found.emojis else None
    parent = (parents or {}).get(found.parent_id)
    is_gone = found.deleted or found.erased
    confirmed = found.read_confirmed or found.read_confirmation_count > 0
    return PostView(
        id=found.post_id, author=author(found.author), audience=audience(found.audience, found.community_name, people or {}),
        body_html=rendered(found.body, mentions, places=places(found.mentions), emoji=emoji),
        filtered=[each.title for each in found.filters],
        publish_time=moment(found.publish_time), language=found.language,
        edit_time=optional_moment(found, "edit_time"),
        images=[
            ImageView(url=picture(each.blob_id), description=each.description, width=each.width, height=each.height)
            for each in found.attachments if each.media_type.startswith("image/")
        ],
        reactions=[ReactionView(emoji=each.emoji, count=each.count, is_mine=each.mine) for each in found.reactions if each.count],
        reasons=list(found.reasons), reply_count=found.reply_count,
        is_saved=found.saved, is_deleted=is_gone, can_reply=can_reply and not is_gone,
        can_edit=found.can_edit, can_delete=found.can_delete, root_id=found.root_id if found.root_id != found.post_id else "",
        in_reply_to=author(parent.author) if parent is not None else None, replies=list(replies),
        confirmation=ReadConfirmation(count=found.read_confirmation_count, total=0, is_mine=found.read_confirmed) if confirmed else None,
        version=found.etag, warning=found.warning, is_sensitive=found.sensitive,
        poll=poll(found.poll) if found.HasField("poll") else None, preview=preview(found.preview) if found.HasField("preview") else None,
        is_quote=bool(found.quoted_id), quoted=post(found.quoted, can_reply=False) if found.HasField("quoted") else None,
        repost_count=found.repost_count, quote_count=found.quote_count, is_reposted=bool(found.my_repost_id),
        can_repost=not is_gone and found.audience.WhichOneof("kind") not in ("people", "followers_of_id"),
        can_pin=found.can_edit, can_pin_in_community=found.can_pin_in_community, is_pinned=found.pinned,
        is_pinned_in_community=found.pinned_in_community, is_thread_muted=found.thread_muted, kind=POST_KINDS.get(found.kind, "plain"),
        is_solved=bool(found.best_answer_id), is_best_answer=found.is_best_answer, praise_value=found.praise_value,
        praised=[author(each) for each in found.praised], idea_state=found.idea_state,
    )


def poll(found: feed.PollResult) -> PollView:
    """A poll; one whose time is past counts as closed, though its closing may not have been recorded yet."""
    voters = max(1, found.voter_count)
    mine = set(found.my_choices)
    return PollView(
        options=[
            PollOption(label=label, count=count, share=count / voters, is_mine=at in mine)
            for at, (label, count) in enumerate(zip(found.poll.options, found.counts, strict=False))
        ],
        voter_count=found.voter_count, close_time=moment(found.poll.close_time), is_multiple=found.poll.multiple,
        is_closed=found.closed or moment(found.poll.close_time) <= datetime.now(UTC), is_anonymous=found.poll.anonymous,
        has_voted=found.voted,
    )


def preview(found: feed_events.LinkPreview) -> PreviewView:
    """What a link leads to."""
    host = urlsplit(found.url).hostname or ""
    return PreviewView(
        url=found.url, title=found.title or host, site=found.site_name or host.removeprefix("www."), description=found.description,
        author=found.author_name, image_url=picture(found.image_blob_id) if found.image_blob_id else "", image_width=found.image_width,
        image_height=found.image_height,
    )


def tree(root: feed.Post, replies: Sequence[feed.Post], people: Mapping[str, PersonRef]) -> list[PostView]:
    """The replies of a thread, each under the one it answers; one whose parent is on another page stands at the top."""
    known = {each.post_id for each in replies}
    below: dict[str, list[feed.Post]] = {}
    for each in replies:
        below.setdefault(each.parent_id if each.parent_id in known else root.post_id, []).append(each)
    built: dict[str, PostView] = {}
    # From the last to the first: a reply is always younger than what it answers.
    for each in reversed(replies):
        built[each.post_id] = post(each, people=people, replies=[built[child.post_id] for child in below.get(each.post_id, ())])
    return [built[each.post_id] for each in below.get(root.post_id, ())]


def excerpt(found: feed.Post) -> str:
    """The beginning of a post's text; of one that warns of itself the warning only."""
    return found.warning or markdown.excerpt(found.body, EXCERPT_CHARACTERS)


# --- communities ------------------------------------------------------------------------------------------------------


def community_ref(found: feed.Community) -> CommunityRef:
    """A community as named in the rail."""
    return CommunityRef(id=found.community_id, name=found.name, kind=KINDS.get(found.kind, "open"))


def membership(found: feed.Community) -> Membership:
    """How the reader stands to the community."""
    return MEMBERSHIPS.get(found.my_role, "requested" if found.join_requested else "none")


def community_row(found: feed.Community) -> CommunityRow:
    """A community in a list."""
    return CommunityRow(
        id=found.community_id, name=found.name, kind=KINDS.get(found.kind, "open"), description=found.description,
        member_count=found.member_count, membership=membership(found), last_post_time=optional_moment(found, "last_post_time"),
    )


def community(
    found: feed.Community, *, owners: Sequence[PersonRef] = (), moderators: Sequence[PersonRef] = (), members: Sequence[PersonRef] = (),
    is_administrator: bool = False,
) -> CommunityView:
    """A community, whole."""
    mine = membership(found)
    return CommunityView(
        id=found.community_id, name=found.name, handle=found.handle, kind=KINDS.get(found.kind, "open"), description=found.description,
        rules_html=rendered(found.rules), tags=list(found.tags), member_count=found.member_count, membership=mine, owners=list(owners),
        moderators=list(moderators), members=list(members), create_time=optional_moment(found, "create_time"), is_archived=found.archived,
        can_read=found.readable, can_moderate=mine in ("moderator", "owner") or is_administrator,
        can_edit=mine == "owner" or is_administrator, request_count=found.join_request_count,
    )


# --- search -----------------------------------------------------------------------------------------------------------


def marked(fragment: search.Fragment) -> str:
    """A fragment as HTML with what was found marked."""
    parts: list[Markup] = []
    at = 0
    for span in fragment.highlights:
        if span.start < at:
            continue
        parts += [escape(fragment.text[at:span.start]), Markup("<mark>{}</mark>").format(fragment.text[span.start:span.end])]
        at = span.end
    return str(Markup("").join([*parts, escape(fragment.text[at:])]))


def search_result(hit: search.Hit, url: str) -> SearchResult:
    """A result."""
    time = moment(hit.create_time) if hit.HasField("create_time") else None
    community_of = CommunityRef(id=hit.community_id, name=hit.community_name) if hit.community_id else None
    if hit.kind == search.HIT_KIND_PERSON:
        found = PersonRef(id=hit.id, name=hit.title.text, title=hit.subtitle, photo_url=photo(hit.photo_blob_id))
        return SearchResult(kind="person", url=url, title_html=marked(hit.title), snippet_html=marked(hit.snippet), person=found)
    if hit.kind == search.HIT_KIND_COMMUNITY:
        named = CommunityRef(id=hit.id, name=hit.title.text)
        return SearchResult(kind="community", url=url, title_html=marked(hit.title), snippet_html=marked(hit.snippet), community=named)
    writer = PersonRef(id=hit.author_id, name=hit.author_name, photo_url=photo(hit.photo_blob_id))
    text = marked(hit.snippet) or marked(hit.title)
    return SearchResult(
        kind="post", url=url, title_html=str(escape(hit.author_name or hit.title.text)), snippet_html=text, person=writer,
        community=community_of, time=time,
    )


# --- the rest ---------------------------------------------------------------------------------------------------------


def notification(found: feed.Notification) -> NotificationView:
    """One or several happenings of one kind about one thing."""
    kind = NOTIFICATIONS.get(found.kind, "post")
    has_post = found.HasField("post") and bool(found.post.post_id)
    people = [author(each) for each in found.actors if each.person_id]
    if has_post:
        root = found.post.root_id
        url = f"/posts/{root}#post-{found.post.post_id}" if root and root != found.post.post_id else f"/posts/{found.post.post_id}"
        if kind == "decision":
            url = f"/ideas/{found.post.post_id}"
    elif kind == "moderation":
        url = f"/moderation/{found.notification_id.partition('-')[2]}"
    elif kind == "draft":
        url = f"/drafts/{found.notification_id.partition('-')[2]}"
    elif kind == "webhook":
        url = f"/integrations/webhooks/{found.notification_id.partition('-')[2]}"
    elif kind == "decision":
        url = f"/ask/{found.notification_id.partition('-')[2]}"
    elif found.community_id:
        url = f"/communities/{found.community_id}" + ("/requests" if kind == "join_request" else "")
    else:
        url = people[0].url if people else "/notifications"
    return NotificationView(
        kind=kind, url=url, time=moment(found.notify_time), people=people, count=found.actor_count or len(people),  # type: ignore[arg-type]
        excerpt=excerpt(found.post) if has_post and not found.post.filters else "",
        community=CommunityRef(id=found.community_id, name=found.community_name) if found.community_id else None,
        emojis=list(found.emoji), is_unread=found.unread,
    )


def device(user_agent: str) -> str:
    """A browser and system in words, from a User-Agent header."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return ", ".join(part for part in (browser, system) if part) or user_agent[:60] or "?"


def session(found: Session, current: str, people: Mapping[str, PersonRef] | None = None) -> SessionView:
    """A signed-in device."""
    return SessionView(
        id=found.session_id, device=device(found.user_agent), address=found.address, create_time=found.create_time,
        last_seen_time=found.seen_time, is_current=found.session_id == current, person=(people or {}).get(found.person_id),
    )


def token(found: identity.AccessToken) -> TokenView:
    """A personal access token."""
    return TokenView(
        id=found.token_id, name=found.name, scopes=list(found.scopes), issue_time=moment(found.issue_time),
        expire_time=optional_moment(found, "expire_time"),
        last_used_time=datetime.fromisoformat(f"{found.last_use_date}T00:00:00+00:00") if found.last_use_date else None,
    )
