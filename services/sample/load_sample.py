"""The sample organisation as plain values: read from the YAML files beside this module, checked, and dated from the moment of loading."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from libs.text import markdown
from libs.text.emoji import canonical

FOLDER = Path(__file__).parent
ORGANISATION_NAME = "Averlund Packaging Machinery"

T = TypeVar("T")
C = TypeVar("C", bound=str)

Role = Literal["employee", "guest", "communications", "leader", "administrator"]
CommunityKind = Literal["open", "closed", "secret"]
AudienceKind = Literal["everyone", "followers", "community", "people"]

FILE_BYTES_MAX = 2_000_000
BODY_CHARACTERS_MAX = 5_000
WORKDAYS_AGO_MAX = 64  # about 90 days
MINUTES_AGO_MAX = 12 * 60

_KEY = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_EMAIL = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+@example\.com")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
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


def read_sample(now: datetime, folder: Path = FOLDER) -> Sample:
    """The whole sample, dated as if loaded at `now` (which carries a time zone).

    Raises ValueError, naming the file and the key, for an unknown field or key, a duplicate, a cycle, or a time out of order.
    """
    return build_sample(read_documents(folder), now)


def read_documents(folder: Path = FOLDER) -> Mapping[str, Any]:
    """The content of the YAML files by file name, unchecked but for their size, their syntax and repeated mapping keys."""
    names = ["people.yaml", "communities.yaml", "follows.yaml", *sorted(path.name for path in folder.glob("posts*.yaml"))]
    documents: dict[str, Any] = {}
    for name in names:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name}: the file is missing")
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ValueError(f"{name}: larger than {FILE_BYTES_MAX} bytes; split it")
        try:
            documents[name] = _load_yaml(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{name}: {error}") from error
    return documents


def build_sample(documents: Mapping[str, Any], now: datetime) -> Sample:
    """The checked sample from what `read_documents` returned; raises as `read_sample` does."""
    if now.tzinfo is None:
        raise ValueError("now: needs a time zone")
    now = now.astimezone(UTC)
    people = _people(documents["people.yaml"], now)
    by_key = {person.key: person for person in people}
    communities = _communities(documents["communities.yaml"], by_key)
    follows = _follows(documents["follows.yaml"], by_key)
    access = _Access(by_key, communities, follows)
    entries = [entry for name, document in documents.items() if name.startswith("posts") for entry in _entries(name, document)]
    posts = _posts(entries, by_key, access, now)
    used = {tag for post in posts for tag in post.tags} | {tag for community in communities for tag in community.tags}
    for follow in follows:
        for tag in follow.tags:
            if tag not in used:
                raise ValueError(f"follows.yaml: {follow.person}: follows #{tag}, which no post carries")
    return Sample(people, communities, follows, posts)


# --- the four kinds of entry -----------------------------------------------------------------------------------------


def _people(document: Any, now: datetime) -> tuple[Person, ...]:
    people: dict[str, Person] = {}
    emails: set[str] = set()
    numbers: set[str] = set()
    for entry in _entries("people.yaml", document):
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
            languages=tuple(_language(entry, language) for language in entry.texts("languages")),
            manager=entry.text_or_none("manager"),
            start_date=_start_date(entry, now),
            about=entry.text("about"),
            contact=entry.text_map("contact"),
            roles=tuple(_choice(entry, "role", role, get_args(Role)) for role in entry.texts("roles")),
            custom=entry.text_map("custom"),
        )
        entry.finish()
        if not person.languages or not person.roles:
            raise entry.wrong("needs at least one language and one role")
        _add(people, entry, person)
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
    for entry in _entries("communities.yaml", document):
        owners = _known_people(entry, "owners", people)
        moderators = _known_people(entry, "moderators", people)
        others = _known_people(entry, "members", people)
        belonging = (*owners, *moderators, *others)
        _distinct(entry, "owners, moderators and members", belonging)
        community = Community(
            key=entry.key,
            name=entry.text("name"),
            description=entry.text("description"),
            rules=entry.text("rules"),
            kind=_choice(entry, "kind", entry.text("kind"), get_args(CommunityKind)),
            owners=owners,
            moderators=moderators,
            members=belonging,
            tags=entry.texts("tags"),
        )
        entry.finish()
        if not owners:
            raise entry.wrong("needs an owner")
        _add(communities, entry, community)
    return tuple(communities.values())


def _follows(document: Any, people: Mapping[str, Person]) -> tuple[Follow, ...]:
    if not isinstance(document, dict):
        raise ValueError("follows.yaml: must be a mapping from a person's key to {people, tags}")
    follows: list[Follow] = []
    for person, value in document.items():
        entry = _Entry("follows.yaml", str(person), value)
        if person not in people:
            raise entry.wrong("unknown person")
        follow = Follow(person, _known_people(entry, "people", people), entry.texts("tags"))
        entry.finish()
        if person in follow.people:
            raise entry.wrong("follows themselves")
        follows.append(follow)
    return tuple(follows)


def _posts(entries: Sequence[_Entry], people: Mapping[str, Person], access: _Access, now: datetime) -> tuple[Post, ...]:
    posts: dict[str, Post] = {}
    places: dict[str, int] = {}
    for entry in entries:
        reply_to = entry.text_or_none("reply_to")
        if reply_to is not None and reply_to not in posts:
            raise entry.wrong(f"answers {reply_to!r}, which does not stand above it")
        author = _known_person(entry, entry.text("author"), people)
        body = entry.text("body")
        if len(body) > BODY_CHARACTERS_MAX:
            raise entry.wrong(f"body longer than {BODY_CHARACTERS_MAX} characters")
        extracted = _extract(body)
        post = Post(
            key=entry.key,
            author=author,
            audience=posts[reply_to].audience if reply_to is not None else _audience(entry, access),
            language=_language(entry, entry.text("language")),
            publish_time=_publish_time(entry, people[author], now),
            body=body,
            reply_to=reply_to,
            reactions=_reactions(entry, people),
            saves=_known_people(entry, "saves", people),
            mentions=tuple(_known_person(entry, key, people) for key in extracted.mentions),
            tags=extracted.hashtags,
        )
        entry.finish()
        if reply_to is not None and post.publish_time <= posts[reply_to].publish_time:
            raise entry.wrong(f"is not later than {reply_to}, which it answers")
        thread_author = _thread_author(post, posts)
        for person in (author, *post.saves, *(reader for readers in post.reactions.values() for reader in readers)):
            if not access.may_read(person, post.audience, thread_author):
                raise entry.wrong(f"{person} takes part but may not read it")
        _add(posts, entry, post)
        places[entry.key] = len(places)
    return tuple(sorted(posts.values(), key=lambda post: (post.publish_time, places[post.key])))


def _thread_author(post: Post, posts: Mapping[str, Post]) -> str:
    while post.reply_to is not None:
        post = posts[post.reply_to]
    return post.author


# --- fields ----------------------------------------------------------------------------------------------------------


def _publish_time(entry: _Entry, author: Person, now: datetime) -> datetime:
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


def _start_date(entry: _Entry, now: datetime) -> date:
    days_ago = entry.number_or_none("started_days_ago", 36_500)
    fixed = entry.date_or_none("start_date")
    if (days_ago is None) == (fixed is None):
        raise entry.wrong("needs either start_date or started_days_ago")
    return fixed if fixed is not None else now.date() - timedelta(days=days_ago or 0)


def _audience(entry: _Entry, access: _Access) -> Audience:
    value = entry.take("audience")
    match value:
        case "everyone" | "followers":
            return Audience(kind=value)
        case {"community": str(key), **rest} if not rest:
            if key not in access.communities:
                raise entry.wrong(f"unknown community {key!r}")
            return Audience(kind="community", community=key)
        case {"people": [_, *_] as keys, **rest} if not rest:
            named = tuple(_known_person(entry, str(key), access.people) for key in keys)
            _distinct(entry, "audience", named)
            return Audience(kind="people", people=named)
        case _:
            raise entry.wrong("audience is everyone, followers, {community: key} or {people: [keys]}")


def _reactions(entry: _Entry, people: Mapping[str, Person]) -> Mapping[str, tuple[str, ...]]:
    value = entry.take("reactions", default={})
    if not isinstance(value, dict):
        raise entry.wrong("reactions must map an emoji to a list of people")
    reactions: dict[str, tuple[str, ...]] = {}
    for emoji, keys in value.items():
        if not isinstance(emoji, str) or canonical(emoji) != emoji:
            raise entry.wrong(f"{emoji!r} is not an emoji as Unicode writes it")
        if not isinstance(keys, list) or not keys:
            raise entry.wrong(f"reaction {emoji} needs a list of people")
        reactions[emoji] = tuple(_known_person(entry, str(key), people) for key in keys)
        _distinct(entry, f"reaction {emoji}", reactions[emoji])
    return reactions


def _known_person(entry: _Entry, key: str, people: Mapping[str, Person]) -> str:
    if key not in people:
        raise entry.wrong(f"unknown person {key!r}")
    return key


def _known_people(entry: _Entry, name: str, people: Mapping[str, Person]) -> tuple[str, ...]:
    return tuple(_known_person(entry, key, people) for key in entry.texts(name))


def _language(entry: _Entry, value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise entry.wrong(f"{value!r} is not a language tag")
    return value


def _choice(entry: _Entry, name: str, value: str, choices: tuple[C, ...]) -> C:
    for choice in choices:
        if choice == value:
            return choice
    raise entry.wrong(f"unknown {name} {value!r}; one of {', '.join(choices)}")


def _distinct(entry: _Entry, name: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise entry.wrong(f"{value!r} stands twice in {name}")
        seen.add(value)


def _add(known: dict[str, T], entry: _Entry, value: T) -> None:
    if entry.key in known:
        raise entry.wrong("the key stands twice")
    known[entry.key] = value


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


class _Entry:
    """One mapping of a file; every field is taken once, and what is left over in the end is unknown."""

    def __init__(self, file: str, key: str, value: Any) -> None:
        self.file = file
        self.key = key
        if not isinstance(value, dict):
            raise self.wrong("must be a mapping")
        self._left = dict(value)

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{self.file}: {self.key}: {what}")

    def take(self, name: str, default: Any = ...) -> Any:
        if name not in self._left and default is ...:
            raise self.wrong(f"{name} is missing")
        return self._left.pop(name, default)

    def finish(self) -> None:
        if self._left:
            raise self.wrong(f"unknown field {', '.join(map(str, self._left))}")

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f"{name} must be a text that is not empty")
        return value

    def text_or_none(self, name: str) -> str | None:
        return self.text(name) if name in self._left else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.take(name, default=[])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(f"{name} must be a list of texts")
        _distinct(self, name, value)
        return tuple(value)

    def text_map(self, name: str) -> Mapping[str, str]:
        value = self.take(name, default={})
        if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise self.wrong(f"{name} must map texts to texts")
        return dict(value)

    def number_or_none(self, name: str, largest: int) -> int | None:
        value = self.take(name, default=None)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
            raise self.wrong(f"{name} must be a whole number from 1 to {largest}")
        return value

    def date_or_none(self, name: str) -> date | None:
        value = self.take(name, default=None)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.wrong(f"{name} must be a date as 2019-04-01")
        return value


def _entries(file: str, document: Any) -> list[_Entry]:
    if not isinstance(document, list):
        raise ValueError(f"{file}: must be a list of entries")
    entries: list[_Entry] = []
    for place, value in enumerate(document, start=1):
        entry = _Entry(file, f"entry {place}", value)
        key = entry.text("key")
        if not _KEY.fullmatch(key):
            raise entry.wrong(f"key {key!r} must be lower-case letters, digits and single hyphens")
        entry.key = key
        entries.append(entry)
    return entries


# --- YAML ------------------------------------------------------------------------------------------------------------


def _load_yaml(text: str) -> Any:
    """Safe YAML that refuses a mapping key written twice, which YAML itself would settle silently for the last."""
    load: Callable[..., Any] = yaml.load
    compose: Callable[..., yaml.Node | None] = yaml.compose
    # The C parser where the wheel has it: ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _refuse_repeated_keys(compose(text, Loader=loader))
    return load(text, Loader=loader)


def _refuse_repeated_keys(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
            _refuse_repeated_keys(value)
