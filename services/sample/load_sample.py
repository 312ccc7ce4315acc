"""The sample organisation as plain values: read from the YAML files beside this module, checked, and dated from the moment of loading."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from libs.text import markdown
from libs.text.emoji import canonical

from . import today
from .entries import Entry, add, choice, distinct, entries_of, known_people, known_person, language_of, load_yaml

FOLDER = Path(__file__).parent
ORGANISATION_NAME = "Averlund Packaging Machinery"

Role = Literal["employee", "guest", "communications", "leader", "administrator"]
CommunityKind = Literal["open", "closed", "secret"]
AudienceKind = Literal["everyone", "followers", "community", "people"]

FILE_BYTES_MAX = 2_000_000
BODY_CHARACTERS_MAX = 5_000
WORKDAYS_AGO_MAX = 64  # about 90 days
MINUTES_AGO_MAX = 12 * 60

_EMAIL = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+@example\.com")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

# The same texts are dated again and again by the tests; what they refer to is looked for once.
_extract = lru_cache(maxsize=2_000)(markdown.extract)


@dataclass(frozen=True, slots=True)
class Person:
    key: str
    """Also the handle by which posts mention the person."""
    employee_number: str
    """Empty for the guest."""
    email: str
    name: str
    preferred_name: str
    """Shown instead of the name; empty where the name is what people say."""
    pronouns: str
    title: str
    department: str
    location: str
    time_zone: str
    languages: tuple[str, ...]
    manager: str | None
    """The manager's key; None for the head of the organisation only."""
    start_date: date
    about: str
    contact: Mapping[str, str]
    """Label to value, as `custom`."""
    roles: tuple[Role, ...]
    custom: Mapping[str, str]

    @property
    def is_guest(self) -> bool:
        return "guest" in self.roles


@dataclass(frozen=True, slots=True)
class Community:
    key: str
    name: str
    description: str
    rules: str
    kind: CommunityKind
    owners: tuple[str, ...]
    moderators: tuple[str, ...]
    members: tuple[str, ...]
    """Everyone who belongs, the owners and moderators first."""
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audience:
    kind: AudienceKind
    community: str | None = None
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    key: str
    author: str
    audience: Audience
    """A reply's audience is that of the post that began its thread."""
    language: str
    publish_time: datetime
    """In UTC, never after the moment of loading, and after the post it answers."""
    body: str
    reply_to: str | None
    reactions: Mapping[str, tuple[str, ...]]
    saves: tuple[str, ...]
    mentions: tuple[str, ...]
    """Keys of people."""
    tags: tuple[str, ...]
    """Without the #, as the network compares them."""


@dataclass(frozen=True, slots=True)
class Follow:
    person: str
    people: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    people: tuple[Person, ...]
    """Managers before the people who report to them."""
    communities: tuple[Community, ...]
    follows: tuple[Follow, ...]
    posts: tuple[Post, ...]
    """Oldest first, so each reply stands after the post it answers."""
    today: today.Today
    """What is published when the sample is loaded."""


def read_sample(now: datetime, folder: Path = FOLDER) -> Sample:
    """The whole sample, dated as if loaded at `now` (which carries a time zone).

    Raises ValueError, naming the file and the key, for an unknown field or key, a duplicate, a cycle, or a time out of order.
    """
    return build_sample(read_documents(folder), now, folder)


def read_documents(folder: Path = FOLDER) -> Mapping[str, Any]:
    """The content of the YAML files by file name, unchecked but for their size, their syntax and repeated mapping keys."""
    names = ["people.yaml", "communities.yaml", "follows.yaml", today.FILE, *sorted(path.name for path in folder.glob("posts*.yaml"))]
    documents: dict[str, Any] = {}
    for name in names:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name}: the file is missing")
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ValueError(f"{name}: larger than {FILE_BYTES_MAX} bytes; split it")
        try:
            documents[name] = load_yaml(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{name}: {error}") from error
    return documents


def build_sample(documents: Mapping[str, Any], now: datetime, folder: Path = FOLDER) -> Sample:
    """The checked sample from what `read_documents` returned; raises as `read_sample` does."""
    if now.tzinfo is None:
        raise ValueError("now: needs a time zone")
    now = now.astimezone(UTC)
    people = _people(documents["people.yaml"], now)
    by_key = {person.key: person for person in people}
    communities = _communities(documents["communities.yaml"], by_key)
    follows = _follows(documents["follows.yaml"], by_key)
    access = _Access(by_key, communities, follows)
    entries = [entry for name, document in documents.items() if name.startswith("posts") for entry in entries_of(name, document)]
    posts = _posts(entries, by_key, access, now)
    used = {tag for post in posts for tag in post.tags} | {tag for community in communities for tag in community.tags}
    for follow in follows:
        for tag in follow.tags:
            if tag not in used:
                raise ValueError(f"follows.yaml: {follow.person}: follows #{tag}, which no post carries")
    known = today.build_today(documents[today.FILE], by_key, access.communities, {post.key: post.author for post in posts}, folder)
    return Sample(people, communities, follows, posts, known)


# --- the four kinds of entry -----------------------------------------------------------------------------------------


def _people(document: Any, now: datetime) -> tuple[Person, ...]:
    people: dict[str, Person] = {}
    emails: set[str] = set()
    numbers: set[str] = set()
    for entry in entries_of("people.yaml", document):
        email = entry.text("email")
        if not _EMAIL.fullmatch(email):
            raise entry.wrong(f"e-mail {email!r} is not of the form first.last@example.com")
        if email in emails:
            raise entry.wrong(f"e-mail {email} stands twice")
        emails.add(email)
        number = entry.text_or_none("employee_number") or ""
        if number in numbers:
            raise entry.wrong(f"employee number {number} stands twice")
        numbers.update([number] if number else [])
        time_zone = entry.text("time_zone")
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise entry.wrong(f"unknown time zone {time_zone!r}") from error
        person = Person(
            key=entry.key,
            employee_number=number,
            email=email,
            name=entry.text("name"),
            preferred_name=entry.text_or_none("preferred_name") or "",
            pronouns=entry.text("pronouns"),
            title=entry.text("title"),
            department=entry.text("department"),
            location=entry.text("location"),
            time_zone=time_zone,
            languages=tuple(language_of(entry, language) for language in entry.texts("languages")),
            manager=entry.text_or_none("manager"),
            start_date=_start_date(entry, now),
            about=entry.text("about"),
            contact=entry.text_map("contact"),
            roles=tuple(choice(entry, "role", role, get_args(Role)) for role in entry.texts("roles")),
            custom=entry.text_map("custom"),
        )
        entry.finish()
        if not person.languages or not person.roles:
            raise entry.wrong("needs at least one language and one role")
        add(people, entry, person)
    return _by_rank(people)


def _by_rank(people: Mapping[str, Person]) -> tuple[Person, ...]:
    """Managers first; refuses unknown managers, cycles, and any number of heads but one."""
    heads = [person.key for person in people.values() if person.manager is None]
    if len(heads) != 1:
        raise ValueError(f"people.yaml: exactly one person has no manager, not {len(heads)}: {', '.join(heads) or 'nobody'}")
    depths: dict[str, int] = {}
    for person in people.values():
        chain: list[str] = []
        current: str | None = person.key
        while current is not None and current not in depths:
            if current in chain:
                raise ValueError(f"people.yaml: {person.key}: managers form a cycle: {' -> '.join([*chain, current])}")
            chain.append(current)
            manager = people[current].manager
            if manager is not None and manager not in people:
                raise ValueError(f"people.yaml: {current}: unknown manager {manager!r}")
            current = manager
        depth = -1 if current is None else depths[current]
        for key in reversed(chain):
            depth += 1
            depths[key] = depth
    return tuple(sorted(people.values(), key=lambda person: depths[person.key]))


def _communities(document: Any, people: Mapping[str, Person]) -> tuple[Community, ...]:
    communities: dict[str, Community] = {}
    for entry in entries_of("communities.yaml", document):
        owners = known_people(entry, "owners", people)
        moderators = known_people(entry, "moderators", people)
        others = known_people(entry, "members", people)
        belonging = (*owners, *moderators, *others)
        distinct(entry, "owners, moderators and members", belonging)
        community = Community(
            key=entry.key,
            name=entry.text("name"),
            description=entry.text("description"),
            rules=entry.text("rules"),
            kind=choice(entry, "kind", entry.text("kind"), get_args(CommunityKind)),
            owners=owners,
            moderators=moderators,
            members=belonging,
            tags=entry.texts("tags"),
        )
        entry.finish()
        if not owners:
            raise entry.wrong("needs an owner")
        add(communities, entry, community)
    return tuple(communities.values())


def _follows(document: Any, people: Mapping[str, Person]) -> tuple[Follow, ...]:
    if not isinstance(document, dict):
        raise ValueError("follows.yaml: must be a mapping from a person's key to {people, tags}")
    follows: list[Follow] = []
    for person, value in document.items():
        entry = Entry("follows.yaml", str(person), value)
        if person not in people:
            raise entry.wrong("unknown person")
        follow = Follow(person, known_people(entry, "people", people), entry.texts("tags"))
        entry.finish()
        if person in follow.people:
            raise entry.wrong("follows themselves")
        follows.append(follow)
    return tuple(follows)


def _posts(entries: Sequence[Entry], people: Mapping[str, Person], access: _Access, now: datetime) -> tuple[Post, ...]:
    posts: dict[str, Post] = {}
    places: dict[str, int] = {}
    for entry in entries:
        reply_to = entry.text_or_none("reply_to")
        if reply_to is not None and reply_to not in posts:
            raise entry.wrong(f"answers {reply_to!r}, which does not stand above it")
        author = known_person(entry, entry.text("author"), people)
        body = entry.text("body")
        if len(body) > BODY_CHARACTERS_MAX:
            raise entry.wrong(f"body longer than {BODY_CHARACTERS_MAX} characters")
        extracted = _extract(body)
        post = Post(
            key=entry.key,
            author=author,
            audience=posts[reply_to].audience if reply_to is not None else _audience(entry, access),
            language=language_of(entry, entry.text("language")),
            publish_time=_publish_time(entry, people[author], now),
            body=body,
            reply_to=reply_to,
            reactions=_reactions(entry, people),
            saves=known_people(entry, "saves", people),
            mentions=tuple(known_person(entry, key, people) for key in extracted.mentions),
            tags=extracted.hashtags,
        )
        entry.finish()
        if reply_to is not None and post.publish_time <= posts[reply_to].publish_time:
            raise entry.wrong(f"is not later than {reply_to}, which it answers")
        thread_author = _thread_author(post, posts)
        for person in (author, *post.saves, *(reader for readers in post.reactions.values() for reader in readers)):
            if not access.may_read(person, post.audience, thread_author):
                raise entry.wrong(f"{person} takes part but may not read it")
        add(posts, entry, post)
        places[entry.key] = len(places)
    return tuple(sorted(posts.values(), key=lambda post: (post.publish_time, places[post.key])))


def _thread_author(post: Post, posts: Mapping[str, Post]) -> str:
    while post.reply_to is not None:
        post = posts[post.reply_to]
    return post.author


# --- fields ----------------------------------------------------------------------------------------------------------


def _publish_time(entry: Entry, author: Person, now: datetime) -> datetime:
    """Either so many minutes before `now`, or at a time of the author's day so many working days (Monday to Friday) before it."""
    minutes_ago = entry.number_or_none("minutes_ago", MINUTES_AGO_MAX)
    workdays_ago = entry.number_or_none("workdays_ago", WORKDAYS_AGO_MAX)
    clock = entry.text_or_none("at")
    if minutes_ago is not None and workdays_ago is None and clock is None:
        return now - timedelta(minutes=minutes_ago)
    if minutes_ago is not None or workdays_ago is None or clock is None:
        raise entry.wrong("needs either minutes_ago, or workdays_ago together with at")
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise entry.wrong(f"at is {clock!r}, not a time as 08:30")
    # Days are counted from the date in UTC, so that a thread between continents keeps its order whenever it is loaded.
    day = _workday_before(now.date(), workdays_ago)
    local = datetime.combine(day, time(int(match[1]), int(match[2])), ZoneInfo(author.time_zone))
    if local > now:
        raise entry.wrong("lies in the future; workdays_ago is at least 1, and late hours in the west need 2")
    return local.astimezone(UTC)


def _workday_before(day: date, count: int) -> date:
    while count > 0:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            count -= 1
    return day


def _start_date(entry: Entry, now: datetime) -> date:
    days_ago = entry.number_or_none("started_days_ago", 36_500)
    fixed = entry.date_or_none("start_date")
    if (days_ago is None) == (fixed is None):
        raise entry.wrong("needs either start_date or started_days_ago")
    return fixed if fixed is not None else now.date() - timedelta(days=days_ago or 0)


def _audience(entry: Entry, access: _Access) -> Audience:
    value = entry.take("audience")
    match value:
        case "everyone" | "followers":
            return Audience(kind=value)
        case {"community": str(key), **rest} if not rest:
            if key not in access.communities:
                raise entry.wrong(f"unknown community {key!r}")
            return Audience(kind="community", community=key)
        case {"people": [_, *_] as keys, **rest} if not rest:
            named = tuple(known_person(entry, str(key), access.people) for key in keys)
            distinct(entry, "audience", named)
            return Audience(kind="people", people=named)
        case _:
            raise entry.wrong("audience is everyone, followers, {community: key} or {people: [keys]}")


def _reactions(entry: Entry, people: Mapping[str, Person]) -> Mapping[str, tuple[str, ...]]:
    value = entry.take("reactions", default={})
    if not isinstance(value, dict):
        raise entry.wrong("reactions must map an emoji to a list of people")
    reactions: dict[str, tuple[str, ...]] = {}
    for emoji, keys in value.items():
        if not isinstance(emoji, str) or canonical(emoji) != emoji:
            raise entry.wrong(f"{emoji!r} is not an emoji as Unicode writes it")
        if not isinstance(keys, list) or not keys:
            raise entry.wrong(f"reaction {emoji} needs a list of people")
        reactions[emoji] = tuple(known_person(entry, str(key), people) for key in keys)
        distinct(entry, f"reaction {emoji}", reactions[emoji])
    return reactions


class _Access:
    """Who may read what, as the network itself would decide it."""

    def __init__(self, people: Mapping[str, Person], communities: Iterable[Community], follows: Iterable[Follow]) -> None:
        self.people = people
        self.communities = {community.key: community for community in communities}
        self._followed = {follow.person: frozenset(follow.people) for follow in follows}

    def may_read(self, person: str, audience: Audience, author: str) -> bool:
        if person == author:
            return True
        guest = self.people[person].is_guest
        match audience.kind:
            case "everyone":
                return not guest
            case "followers":
                return not guest and author in self._followed.get(person, frozenset())
            case "people":
                return person in audience.people
            case "community":
                community = self.communities[audience.community or ""]
                return person in community.members or (community.kind == "open" and not guest)
