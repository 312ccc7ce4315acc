"""What the API takes and gives, and how the services' messages become that. Ids are strings, times RFC 3339, enums lower case."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from watercooler.common.v1 import audience_pb2, blob_pb2
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.search.v1 import search_service_pb2 as search

from ..http import AnyRequest, gateway
from ..queries import Session
from .operations import PAGE_SIZE_MAX, Input, Output, time_of

Id = Annotated[str, Meta(min_length=36, max_length=36, pattern="^[0-9a-f-]{36}$")]
PageSize = Annotated[int, Meta(ge=1, le=PAGE_SIZE_MAX, description="How many at most.")]
PageToken = Annotated[str, Meta(max_length=1_000, description="next_page_token of the page before.")]
Line = Annotated[str, Meta(max_length=200)]
Body = Annotated[str, Meta(max_length=10_000, description="Markdown subset.")]
Language = Annotated[str, Meta(max_length=35, description="BCP 47 tag; empty when unknown.")]
Emoji = Annotated[str, Meta(min_length=1, max_length=40)]
Tag = Annotated[str, Meta(min_length=1, max_length=100)]
BlobId = Annotated[str, Meta(max_length=200)]
Password = Annotated[str, Meta(max_length=1_000)]
Secret = Annotated[str, Meta(max_length=500)]
Email = Annotated[str, Meta(max_length=254)]

RoleName = Literal["employee", "guest", "communications", "leader", "administrator", "bot"]
StateName = Literal["active", "left", "erased"]
CommunityKindName = Literal["open", "closed", "secret"]
MemberRoleName = Literal["member", "moderator", "owner"]
Scope = Literal["read", "write", "admin"]
NotificationKindName = Literal[
    "mention", "reply", "reaction", "follow", "join_request", "joined", "direct", "repost", "quote", "poll", "praise", "best_answer",
    "question", "announcement", "reminder", "correction", "decision", "moderation", "post", "edit", "draft",
    "webhook",
]
HitKindName = Literal["person", "post", "community"]
OutcomeName = Literal["added", "changed", "unchanged", "refused"]

ROLES: dict[str, identity_events.Role.ValueType] = {
    "employee": identity_events.ROLE_EMPLOYEE, "guest": identity_events.ROLE_GUEST, "communications": identity_events.ROLE_COMMUNICATIONS,
    "leader": identity_events.ROLE_LEADER, "administrator": identity_events.ROLE_ADMINISTRATOR, "bot": identity_events.ROLE_BOT,
}
ROLE_NAMES: dict[int, RoleName] = {value: name for name, value in ROLES.items()}  # type: ignore[misc]
STATES: dict[str, identity.PersonState.ValueType] = {
    "active": identity.PERSON_STATE_ACTIVE, "left": identity.PERSON_STATE_LEFT, "erased": identity.PERSON_STATE_ERASED,
}
STATE_NAMES: dict[int, StateName] = {value: name for name, value in STATES.items()}  # type: ignore[misc]
COMMUNITY_KINDS: dict[str, feed_events.CommunityKind.ValueType] = {
    "open": feed_events.COMMUNITY_KIND_OPEN, "closed": feed_events.COMMUNITY_KIND_CLOSED, "secret": feed_events.COMMUNITY_KIND_SECRET,
}
COMMUNITY_KIND_NAMES: dict[int, CommunityKindName] = {value: name for name, value in COMMUNITY_KINDS.items()}  # type: ignore[misc]
MEMBER_ROLES: dict[str, feed_events.MemberRole.ValueType] = {
    "member": feed_events.MEMBER_ROLE_MEMBER, "moderator": feed_events.MEMBER_ROLE_MODERATOR, "owner": feed_events.MEMBER_ROLE_OWNER,
}
MEMBER_ROLE_NAMES: dict[int, MemberRoleName] = {value: name for name, value in MEMBER_ROLES.items()}  # type: ignore[misc]
NOTIFICATION_KIND_NAMES: dict[int, NotificationKindName] = {
    feed.NOTIFICATION_KIND_MENTION: "mention", feed.NOTIFICATION_KIND_REPLY: "reply", feed.NOTIFICATION_KIND_REACTION: "reaction",
    feed.NOTIFICATION_KIND_FOLLOW: "follow", feed.NOTIFICATION_KIND_JOIN_REQUEST: "join_request",
    feed.NOTIFICATION_KIND_JOINED: "joined", feed.NOTIFICATION_KIND_DIRECT: "direct", feed.NOTIFICATION_KIND_REPOST: "repost",
    feed.NOTIFICATION_KIND_QUOTE: "quote", feed.NOTIFICATION_KIND_POLL: "poll", feed.NOTIFICATION_KIND_PRAISE: "praise",
    feed.NOTIFICATION_KIND_BEST_ANSWER: "best_answer", feed.NOTIFICATION_KIND_QUESTION: "question",
    feed.NOTIFICATION_KIND_ANNOUNCEMENT: "announcement", feed.NOTIFICATION_KIND_REMINDER: "reminder",
    feed.NOTIFICATION_KIND_CORRECTION: "correction", feed.NOTIFICATION_KIND_DECISION: "decision",
    feed.NOTIFICATION_KIND_MODERATION: "moderation", feed.NOTIFICATION_KIND_POST: "post", feed.NOTIFICATION_KIND_EDIT: "edit",
    feed.NOTIFICATION_KIND_WEBHOOK: "webhook",
}
HIT_KINDS: dict[str, search.HitKind.ValueType] = {
    "person": search.HIT_KIND_PERSON, "post": search.HIT_KIND_POST, "community": search.HIT_KIND_COMMUNITY,
}
HIT_KIND_NAMES: dict[int, HitKindName] = {value: name for name, value in HIT_KINDS.items()}  # type: ignore[misc]
OUTCOME_NAMES: dict[int, OutcomeName] = {1: "added", 2: "changed", 3: "unchanged", 4: "refused"}


class Page(Input, frozen=True, kw_only=True):
    """Which part of a list."""

    page_size: PageSize = 20
    page_token: PageToken = ""


# --- people ----------------------------------------------------------------------------------------------------------


class Person(Output, frozen=True, kw_only=True):
    """A person of the directory. Those who have left keep their name; of the erased nothing is left but the id."""

    id: str
    display_name: str
    name: str
    preferred_name: str
    handle: str
    email: str
    employee_number: str
    pronouns: str
    title: str
    department: str
    location: str
    time_zone: str
    languages: list[str]
    start_date: str
    about: str
    contact: dict[str, str]
    custom_fields: dict[str, str]
    roles: list[RoleName]
    manager_id: str | None
    photo_url: str | None
    state: StateName
    report_count: int
    add_time: datetime | None
    leave_time: datetime | None
    has_password: bool
    invited: bool
    etag: str


def person(message: identity.Person) -> Person:
    """A person, from identity's message."""
    profile = message.profile
    return Person(
        id=message.person_id,
        display_name=message.display_name,
        name=profile.name,
        preferred_name=profile.preferred_name,
        handle=profile.handle,
        email=profile.email,
        employee_number=profile.employee_number,
        pronouns=profile.pronouns,
        title=profile.title,
        department=profile.department,
        location=profile.location,
        time_zone=profile.time_zone,
        languages=list(profile.languages),
        start_date=profile.start_date,
        about=profile.about,
        contact=dict(profile.contact),
        custom_fields=dict(profile.custom_fields),
        roles=[ROLE_NAMES[role] for role in message.roles if role in ROLE_NAMES],
        manager_id=message.manager_id or None,
        photo_url=media_url(message.photo_blob_id),
        state=STATE_NAMES.get(message.state, "active"),
        report_count=message.report_count,
        add_time=time_of(message.add_time) if message.HasField("add_time") else None,
        leave_time=time_of(message.leave_time) if message.HasField("leave_time") else None,
        has_password=message.has_password,
        invited=message.invited,
        etag=message.etag,
    )


def media_url(blob_id: str) -> str | None:
    """Where an image is served."""
    return f"/media/{blob_id}" if blob_id else None


class PersonList(Output, frozen=True, kw_only=True):
    """A page of people by name."""

    people: list[Person]
    next_page_token: str
    total_size: int


class Me(Output, frozen=True, kw_only=True):
    """Who is signed in, and what they may do by this session or token."""

    person: Person
    scopes: list[str]
    is_administrator: bool
    session_id: str | None
    access_token_id: str | None


class ChartNode(Output, frozen=True, kw_only=True):
    """A person in the organisation chart with those who report to them."""

    person: Person
    reports: list[ChartNode]


def chart_node(message: identity.ChartNode) -> ChartNode:
    """A node, from identity's message."""
    return ChartNode(person=person(message.person), reports=[chart_node(each) for each in message.reports])


class Chart(Output, frozen=True, kw_only=True):
    """The organisation chart around a person: `managers` from the top down, then the person with their reports."""

    managers: list[Person]
    nodes: list[ChartNode]


class Organization(Output, frozen=True, kw_only=True):
    """The organisation of this deployment."""

    id: str
    name: str
    create_time: datetime | None


def organization(message: identity.Organization) -> Organization:
    """The organisation, from identity's message."""
    created = time_of(message.create_time) if message.HasField("create_time") else None
    return Organization(id=message.organization_id, name=message.name, create_time=created)


class Group(Output, frozen=True, kw_only=True):
    """A team, department or working group of the directory."""

    id: str
    name: str
    kind: str
    parent_id: str | None
    description: str
    member_count: int


def group(message: identity.Group) -> Group:
    """A group, from identity's message."""
    return Group(
        id=message.group_id, name=message.name, kind=message.kind, parent_id=message.parent_id or None, description=message.description,
        member_count=message.member_count,
    )


class SessionInfo(Output, frozen=True, kw_only=True):
    """A signed-in device; `seen_time` is true to five minutes."""

    id: str
    person_id: str
    create_time: datetime
    seen_time: datetime
    expire_time: datetime
    user_agent: str
    address: str
    is_current: bool


def session_info(session: Session, current_id: str) -> SessionInfo:
    """A session as it is shown."""
    return SessionInfo(
        id=session.session_id, person_id=session.person_id, create_time=session.create_time, seen_time=session.seen_time,
        expire_time=session.expire_time, user_agent=session.user_agent, address=session.address,
        is_current=session.session_id == current_id,
    )


class AccessToken(Output, frozen=True, kw_only=True):
    """A personal access token, without its secret."""

    id: str
    person_id: str
    name: str
    scopes: list[str]
    issue_time: datetime | None
    expire_time: datetime | None


def access_token(message: identity.AccessToken) -> AccessToken:
    """A token, from identity's message."""
    return AccessToken(
        id=message.token_id, person_id=message.person_id, name=message.name, scopes=list(message.scopes),
        issue_time=time_of(message.issue_time) if message.HasField("issue_time") else None,
        expire_time=time_of(message.expire_time) if message.HasField("expire_time") else None,
    )


class SecretLink(Output, frozen=True, kw_only=True):
    """A link to be handed to a person; shown once."""

    person_id: str
    url: str
    secret: str
    expire_time: datetime | None
    mailed: Annotated[bool, Meta(description="The link goes to the person by mail as well.")] = False


def secret_link(message: identity.SecretLink, request: AnyRequest, path: str) -> SecretLink:
    """A link below `path`, from identity's message."""
    return SecretLink(
        person_id=message.person_id, url=f"{gateway(request).context.settings.address}{path}/{message.secret}", secret=message.secret,
        expire_time=time_of(message.expire_time) if message.HasField("expire_time") else None, mailed=message.mailed,
    )


# --- posts -----------------------------------------------------------------------------------------------------------


class Author(Output, frozen=True, kw_only=True):
    """A person as named beside their work."""

    id: str
    display_name: str
    handle: str
    title: str
    photo_url: str | None
    left: bool
    erased: bool


def author(message: feed.Author) -> Author:
    """An author, from feed's message."""
    blob_id = message.photo_blob_id
    return Author(
        id=message.person_id, display_name=message.display_name, handle=message.handle, title=message.title,
        photo_url=f"/media/{blob_id}" if blob_id else None, left=message.left, erased=message.erased,
    )


class Audience(Output, frozen=True, kw_only=True):
    """Who may see a post: `id` is the person followed, the group or the community; `person_ids` the people named."""

    kind: Literal["everyone", "followers", "group", "community", "people", "chart", "nobody"]
    id: str | None = None
    name: str | None = None
    person_ids: list[str] = []


_EVERYONE = Audience(kind="everyone")


def audience(message: audience_pb2.Audience, community_name: str) -> Audience:
    """An audience, from the common message."""
    kind = message.WhichOneof("kind")
    if kind == "everyone":
        return _EVERYONE
    if kind == "community_id":
        return Audience(kind="community", id=message.community_id, name=community_name or None)
    if kind == "followers_of_id":
        return Audience(kind="followers", id=message.followers_of_id)
    if kind == "group_id":
        return Audience(kind="group", id=message.group_id, name=community_name or None)
    if kind == "chart_of_id":
        return Audience(kind="chart", id=message.chart_of_id, name=community_name or None)
    if kind == "people":
        return Audience(kind="people", person_ids=list(message.people.person_ids))
    return Audience(kind="nobody")


class Attachment(Output, frozen=True, kw_only=True):
    """An image of a post."""

    blob_id: str
    url: str
    media_type: str
    description: str
    width: int
    height: int
    size_bytes: int


def attachment(message: blob_pb2.Attachment) -> Attachment:
    """An attachment, from the common message."""
    return Attachment(
        blob_id=message.blob_id, url=f"/media/{message.blob_id}", media_type=message.media_type, description=message.description,
        width=message.width, height=message.height, size_bytes=message.size_bytes,
    )


class ReactionCount(Output, frozen=True, kw_only=True):
    """One emoji under a post."""

    emoji: str
    count: int
    mine: bool


class Mention(Output, frozen=True, kw_only=True):
    """A person, a community or a group named in a post: one of the ids is set."""

    person_id: str | None
    community_id: str | None
    group_id: str | None
    handle: str
    display_name: str


class FilterMatch(Output, frozen=True, kw_only=True):
    """A filter of the caller that matches a post, and by which words."""

    filter_id: str
    title: str
    keywords: list[str]


class EmojiPicture(Output, frozen=True, kw_only=True):
    """A picture that stands for `:shortcode:` in a text."""

    shortcode: str
    image_url: str


class Poll(Output, frozen=True, kw_only=True):
    """A poll with its result so far. `my_choices` are indices of options; in an anonymous poll nobody is told any, the voter included."""

    options: list[str]
    counts: list[int]
    voter_count: int
    multiple: bool
    anonymous: bool
    close_time: datetime
    closed: bool
    voted: bool
    my_choices: list[int]


class LinkPreview(Output, frozen=True, kw_only=True):
    """What the first link of a post leads to, as it was when it was fetched."""

    url: str
    title: str
    description: str
    site_name: str
    author_name: str
    image_blob_id: str | None
    image_width: int
    image_height: int


class Post(Output, frozen=True, kw_only=True):
    """A post or a reply, as the caller may see it. Of a deleted or erased one only its place in the thread is left.

    A repost has no text: `reposted` is the original. `quoted` is absent where the caller may not see that post, or it is gone.
    """

    id: str
    author: Author
    body: str
    language: str
    audience: Audience
    parent_id: str | None
    root_id: str | None
    mentions: list[Mention]
    tags: list[str]
    attachments: list[Attachment]
    publish_time: datetime
    edit_time: datetime | None
    deleted: bool
    erased: bool
    reply_count: int
    reactions: list[ReactionCount]
    saved: bool
    read_confirmed: bool
    read_confirmation_count: int
    can_edit: bool
    can_delete: bool
    position: int
    etag: str
    url: str
    warning: str
    sensitive: bool
    poll: Poll | None
    quoted_id: str | None
    quoted: Post | None
    reposted_id: str | None
    reposted: Post | None
    repost_count: int
    quote_count: int
    my_repost_id: str | None
    preview: LinkPreview | None
    filters: list[FilterMatch]
    emoji: list[EmojiPicture]
    pinned: bool
    pinned_in_community: bool
    thread_muted: bool
    kind: Literal["plain", "question", "praise", "announcement"]
    best_answer_id: str | None
    is_best_answer: bool
    praised: list[Author]
    praise_value: str
    idea_state: Literal["new", "discussed", "trial", "done", "not_now"] | None


_POST_KINDS: dict[int, Literal["plain", "question", "praise", "announcement"]] = {
    feed_events.POST_KIND_QUESTION: "question", feed_events.POST_KIND_PRAISE: "praise",
    feed_events.POST_KIND_ANNOUNCEMENT: "announcement",
}


def poll(message: feed.PollResult) -> Poll:
    """A poll, from feed's message."""
    return Poll(
        options=list(message.poll.options), counts=list(message.counts), voter_count=message.voter_count, multiple=message.poll.multiple,
        anonymous=message.poll.anonymous, close_time=time_of(message.poll.close_time), closed=message.closed, voted=message.voted,
        my_choices=list(message.my_choices),
    )


def preview(message: feed_events.LinkPreview) -> LinkPreview:
    """A link's preview, from feed's message."""
    return LinkPreview(
        url=message.url, title=message.title, description=message.description, site_name=message.site_name,
        author_name=message.author_name, image_blob_id=message.image_blob_id or None, image_width=message.image_width,
        image_height=message.image_height,
    )


def post(message: feed.Post) -> Post:
    """A post, from feed's message."""
    root_id, parent_id, post_id = message.root_id, message.parent_id, message.post_id
    return Post(
        id=post_id,
        author=author(message.author),
        body=message.body,
        language=message.language,
        audience=audience(message.audience, message.community_name),
        parent_id=parent_id or None,
        root_id=root_id or None,
        mentions=[
            Mention(
                person_id=m.person_id or None, community_id=m.community_id or None, group_id=m.group_id or None, handle=m.handle,
                display_name=m.display_name,
            )
            for m in message.mentions
        ],
        tags=list(message.tags),
        attachments=[attachment(a) for a in message.attachments],
        publish_time=time_of(message.publish_time),
        edit_time=time_of(message.edit_time) if message.HasField("edit_time") else None,
        deleted=message.deleted,
        erased=message.erased,
        reply_count=message.reply_count,
        reactions=[ReactionCount(emoji=r.emoji, count=r.count, mine=r.mine) for r in message.reactions],
        saved=message.saved,
        read_confirmed=message.read_confirmed,
        read_confirmation_count=message.read_confirmation_count,
        can_edit=message.can_edit,
        can_delete=message.can_delete,
        position=message.position,
        etag=message.etag,
        url=f"/posts/{root_id}#post-{post_id}" if root_id and root_id != post_id else f"/posts/{post_id}",
        warning=message.warning,
        sensitive=message.sensitive,
        poll=poll(message.poll) if message.HasField("poll") else None,
        quoted_id=message.quoted_id or None,
        quoted=post(message.quoted) if message.HasField("quoted") else None,
        reposted_id=message.reposted_id or None,
        reposted=post(message.reposted) if message.HasField("reposted") else None,
        repost_count=message.repost_count,
        quote_count=message.quote_count,
        my_repost_id=message.my_repost_id or None,
        preview=preview(message.preview) if message.HasField("preview") else None,
        filters=[FilterMatch(filter_id=each.filter_id, title=each.title, keywords=list(each.keywords)) for each in message.filters],
        emoji=[EmojiPicture(shortcode=each.shortcode, image_url=f"/media/{each.blob_id}") for each in message.emojis],
        pinned=message.pinned,
        pinned_in_community=message.pinned_in_community,
        thread_muted=message.thread_muted,
        kind=_POST_KINDS.get(message.kind, "plain"),
        best_answer_id=message.best_answer_id or None,
        is_best_answer=message.is_best_answer,
        praised=[author(each) for each in message.praised],
        praise_value=message.praise_value,
        idea_state=message.idea_state or None,  # type: ignore[arg-type]
    )


class PostList(Output, frozen=True, kw_only=True):
    """A page of posts, newest first."""

    posts: list[Post]
    next_page_token: str


class Thread(Output, frozen=True, kw_only=True):
    """A thread: its first post, and a page of replies in order of publication; `parent_id` makes the tree."""

    root: Post
    replies: list[Post]
    next_page_token: str


class Revision(Output, frozen=True, kw_only=True):
    """One state of a post."""

    number: int
    body: str
    revise_time: datetime
    attachments: list[Attachment]
    warning: str


class RevisionList(Output, frozen=True, kw_only=True):
    """Every state of a post, newest first."""

    revisions: list[Revision]


class Reaction(Output, frozen=True, kw_only=True):
    """Who reacted how."""

    person: Author
    emoji: str
    react_time: datetime


class ReactionList(Output, frozen=True, kw_only=True):
    """A page of reactions."""

    reactions: list[Reaction]
    next_page_token: str


class AuthorList(Output, frozen=True, kw_only=True):
    """A page of people as named beside their work."""

    people: list[Author]
    next_page_token: str


class Relationship(Output, frozen=True, kw_only=True):
    """How the caller and a person stand to each other."""

    person_id: str
    following: bool
    followed_by: bool
    follower_count: int
    following_count: int
    post_count: int


def relationship(message: feed.Relationship) -> Relationship:
    """A relationship, from feed's message."""
    return Relationship(
        person_id=message.person_id, following=message.following, followed_by=message.followed_by, follower_count=message.follower_count,
        following_count=message.following_count, post_count=message.post_count,
    )


class Topic(Output, frozen=True, kw_only=True):
    """A tag, and whether the caller follows it."""

    tag: str
    following: bool
    post_count: int
    follower_count: int


def topic(message: feed.Tag) -> Topic:
    """A tag, from feed's message."""
    return Topic(tag=message.tag, following=message.following, post_count=message.post_count, follower_count=message.follower_count)


class TopicList(Output, frozen=True, kw_only=True):
    """Several tags."""

    topics: list[Topic]


# --- communities -----------------------------------------------------------------------------------------------------


class Community(Output, frozen=True, kw_only=True):
    """A community, as the caller may see it; `my_role` is null when no member."""

    id: str
    name: str
    handle: str
    description: str
    rules: str
    kind: CommunityKindName
    tags: list[str]
    member_count: int
    post_count: int
    create_time: datetime | None
    last_post_time: datetime | None
    archived: bool
    my_role: MemberRoleName | None
    join_requested: bool
    join_request_count: int
    readable: bool
    etag: str


def community(message: feed.Community) -> Community:
    """A community, from feed's message."""
    return Community(
        id=message.community_id,
        name=message.name,
        handle=message.handle,
        description=message.description,
        rules=message.rules,
        kind=COMMUNITY_KIND_NAMES.get(message.kind, "open"),
        tags=list(message.tags),
        member_count=message.member_count,
        post_count=message.post_count,
        create_time=time_of(message.create_time) if message.HasField("create_time") else None,
        last_post_time=time_of(message.last_post_time) if message.HasField("last_post_time") else None,
        archived=message.archived,
        my_role=MEMBER_ROLE_NAMES.get(message.my_role),
        join_requested=message.join_requested,
        join_request_count=message.join_request_count,
        readable=message.readable,
        etag=message.etag,
    )


class CommunityList(Output, frozen=True, kw_only=True):
    """A page of communities."""

    communities: list[Community]
    next_page_token: str


class Member(Output, frozen=True, kw_only=True):
    """A member of a community, or one who asks to be; `join_time` is when they joined or asked."""

    community_id: str
    person: Author
    role: MemberRoleName | None
    join_time: datetime | None


def member(message: feed.Member) -> Member:
    """A member, from feed's message."""
    return Member(
        community_id=message.community_id, person=author(message.person), role=MEMBER_ROLE_NAMES.get(message.role),
        join_time=time_of(message.join_time) if message.HasField("join_time") else None,
    )


class MemberList(Output, frozen=True, kw_only=True):
    """A page of members."""

    members: list[Member]
    next_page_token: str


# --- notifications, search, imports ----------------------------------------------------------------------------------


class Notification(Output, frozen=True, kw_only=True):
    """One or several happenings of one kind about one thing; `actors` are the newest five of `actor_count`."""

    id: str
    kind: NotificationKindName
    actors: list[Author]
    actor_count: int
    post: Post | None
    community_id: str | None
    community_name: str | None
    notify_time: datetime
    unread: bool
    emoji: list[str]
    position: int


def notification(message: feed.Notification) -> Notification:
    """A notification, from feed's message."""
    return Notification(
        id=message.notification_id,
        kind=NOTIFICATION_KIND_NAMES.get(message.kind, "mention"),
        actors=[author(each) for each in message.actors],
        actor_count=message.actor_count,
        post=post(message.post) if message.HasField("post") else None,
        community_id=message.community_id or None,
        community_name=message.community_name or None,
        notify_time=time_of(message.notify_time),
        unread=message.unread,
        emoji=list(message.emoji),
        position=message.position,
    )


class NotificationList(Output, frozen=True, kw_only=True):
    """A page of notifications, newest first."""

    notifications: list[Notification]
    next_page_token: str
    unread_count: int


class UnreadCount(Output, frozen=True, kw_only=True):
    """How many notifications are unread."""

    unread_count: int


class Span(Output, frozen=True, kw_only=True):
    """Where a word was found, in characters."""

    start: int
    end: int


class Fragment(Output, frozen=True, kw_only=True):
    """Plain text with the places found."""

    text: str
    highlights: list[Span]


def fragment(message: search.Fragment) -> Fragment:
    """A fragment, from search's message."""
    return Fragment(text=message.text, highlights=[Span(start=each.start, end=each.end) for each in message.highlights])


class Hit(Output, frozen=True, kw_only=True):
    """A result of a search."""

    kind: HitKindName
    id: str
    title: Fragment
    snippet: Fragment
    subtitle: str
    author_id: str | None
    author_name: str | None
    community_id: str | None
    community_name: str | None
    photo_url: str | None
    create_time: datetime | None
    score: float


def hit(message: search.Hit) -> Hit:
    """A result, from search's message."""
    return Hit(
        kind=HIT_KIND_NAMES.get(message.kind, "post"),
        id=message.id,
        title=fragment(message.title),
        snippet=fragment(message.snippet),
        subtitle=message.subtitle,
        author_id=message.author_id or None,
        author_name=message.author_name or None,
        community_id=message.community_id or None,
        community_name=message.community_name or None,
        photo_url=media_url(message.photo_blob_id),
        create_time=time_of(message.create_time) if message.HasField("create_time") else None,
        score=message.score,
    )


class ImportResult(Output, frozen=True, kw_only=True):
    """What became of one record, or would."""

    place: str
    outcome: OutcomeName
    id: str | None
    reason: str
    changed_fields: list[str]
    warnings: list[str]


class ImportReport(Output, frozen=True, kw_only=True):
    """What became of each record, in the order sent."""

    dry_run: bool
    results: list[ImportResult]


def identity_results(messages: Iterable[identity.ImportResult]) -> list[ImportResult]:
    """Results of identity's imports."""
    return [
        ImportResult(
            place=each.place, outcome=OUTCOME_NAMES.get(each.outcome, "refused"), id=each.id or None, reason=each.reason,
            changed_fields=list(each.changed_fields), warnings=[],
        )
        for each in messages
    ]


def feed_results(messages: Iterable[feed.ImportResult]) -> list[ImportResult]:
    """Results of feed's imports."""
    return [
        ImportResult(
            place=each.place, outcome=OUTCOME_NAMES.get(each.outcome, "refused"), id=each.id or None, reason=each.reason,
            changed_fields=[], warnings=list(each.warnings),
        )
        for each in messages
    ]


class Empty(Output, frozen=True, kw_only=True):
    """Nothing more to say."""


