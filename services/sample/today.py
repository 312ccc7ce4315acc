"""What is published at the moment of loading, as plain values: today.yaml, checked."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from libs.text.emoji import canonical

from .entries import Entry, add, choice, distinct, entries_of, known_people, known_person, language_of

FILE = "today.yaml"

IdeaState = Literal["discussed", "trial", "done", "not_now"]
EnquiryState = Literal["accepted", "answered", "declined"]

_SECTIONS = ("emoji", "posts", "announcements", "ideas", "enquiries", "pins", "reposts", "lists", "drafts")
_POLL_MINUTES_LEAST = 5
_DAYS_MOST = 365


@dataclass(frozen=True, slots=True)
class Emoji:
    shortcode: str
    content: bytes
    """A PNG picture."""
    category: str
    by: str


@dataclass(frozen=True, slots=True)
class Poll:
    lasts: timedelta
    """From the moment of loading."""
    options: Mapping[str, tuple[str, ...]]
    """Each option with those who choose it."""


@dataclass(frozen=True, slots=True)
class TodayPost:
    key: str
    author: str
    language: str
    body: str
    community: str | None
    """None: for everyone; a reply's audience is that of its thread."""
    reply_to: str | None
    """Another of today's posts, above this one."""
    question: bool
    best: bool
    """The asker marks this reply as the best answer."""
    warning: str
    quotes: str | None
    praises: tuple[str, ...]
    value: str
    """The company value that the praise is for."""
    poll: Poll | None
    reactions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Announcement:
    key: str
    author: str
    language: str
    title: str
    body: str
    confirm_days: int
    """The deadline for confirming, in days."""
    confirmed_percent: int
    waiting: tuple[str, ...]
    """Those who have not seen it yet in any case: they sign in and meet it."""


@dataclass(frozen=True, slots=True)
class IdeaStep:
    state: IdeaState
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Idea:
    post: str
    by: str
    """The post's author, who makes it an idea."""
    sponsor: str | None
    votes: tuple[str, ...]
    objective: str
    steps: tuple[IdeaStep, ...]


@dataclass(frozen=True, slots=True)
class EnquiryStep:
    state: EnquiryState
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Enquiry:
    key: str
    asker: str
    to: tuple[str, ...]
    """Leaders; empty: all of them."""
    body: str
    votes: tuple[str, ...]
    steps: tuple[EnquiryStep, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    post: str
    by: str
    in_community: bool


@dataclass(frozen=True, slots=True)
class Repost:
    post: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeopleList:
    owner: str
    title: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    author: str
    language: str
    body: str
    in_days: int | None
    """None: not scheduled."""


@dataclass(frozen=True, slots=True)
class Today:
    emoji: tuple[Emoji, ...]
    posts: tuple[TodayPost, ...]
    announcements: tuple[Announcement, ...]
    ideas: tuple[Idea, ...]
    enquiries: tuple[Enquiry, ...]
    pins: tuple[Pin, ...]
    reposts: tuple[Repost, ...]
    lists: tuple[PeopleList, ...]
    drafts: tuple[Draft, ...]


def build_today(document: Any, people: Collection[str], communities: Collection[str], authors: Mapping[str, str], folder: Path) -> Today:
    """The checked content of today.yaml; `authors` are those of all older posts. Raises ValueError, naming the file and the key."""
    if not isinstance(document, dict) or set(document) != set(_SECTIONS):
        raise ValueError(f"{FILE}: must be a mapping of {', '.join(_SECTIONS)}")
    found = _posts(document["posts"], people, communities, authors)
    known = {**authors, **{post.key: post.author for post in found.values()}}
    return Today(
        emoji=tuple(_emoji(entry, people, folder) for entry in entries_of(FILE, document["emoji"])),
        posts=tuple(found.values()),
        announcements=tuple(_announcement(entry, people) for entry in entries_of(FILE, document["announcements"])),
        ideas=tuple(_idea(entry, people, known) for entry in _without_keys("ideas", document)),
        enquiries=tuple(_enquiry(entry, people) for entry in entries_of(FILE, document["enquiries"])),
        pins=tuple(_pin(entry, people, known) for entry in _without_keys("pins", document)),
        reposts=tuple(_repost(entry, people, known) for entry in _without_keys("reposts", document)),
        lists=tuple(_list(entry, people) for entry in _without_keys("lists", document)),
        drafts=tuple(_draft(entry, people) for entry in _without_keys("drafts", document)),
    )


def _without_keys(section: str, document: Mapping[str, Any]) -> list[Entry]:
    values = document[section]
    if not isinstance(values, list):
        raise ValueError(f"{FILE}: {section} must be a list of entries")
    return [Entry(FILE, f"{section} {place}", value) for place, value in enumerate(values, start=1)]


def _emoji(entry: Entry, people: Collection[str], folder: Path) -> Emoji:
    picture = folder / entry.text("file")
    if not picture.is_file():
        raise entry.wrong(f"the file {picture.name} is missing")
    emoji = Emoji(shortcode=entry.key, content=picture.read_bytes(), category=entry.text("category"), by=_person(entry, "by", people))
    entry.finish()
    return emoji


def _posts(
    document: Any, people: Collection[str], communities: Collection[str], older: Collection[str]
) -> dict[str, TodayPost]:
    posts: dict[str, TodayPost] = {}
    for entry in entries_of(FILE, document):
        if entry.key in older:
            raise entry.wrong("the key stands twice")
        reply_to = entry.text_or_none("reply_to")
        if reply_to is not None and reply_to not in posts:
            raise entry.wrong(f"answers {reply_to!r}, which does not stand above it")
        community = entry.text_or_none("community")
        if community is not None and community not in communities:
            raise entry.wrong(f"unknown community {community!r}")
        quotes = entry.text_or_none("quotes")
        if quotes is not None and quotes not in older and quotes not in posts:
            raise entry.wrong(f"quotes {quotes!r}, which is no post")
        kind = entry.text_or_none("kind")
        if kind not in (None, "question"):
            raise entry.wrong(f"unknown kind {kind!r}; the only one is question")
        post = TodayPost(
            key=entry.key,
            author=_person(entry, "author", people),
            language=language_of(entry, entry.text("language")),
            body=entry.text("body"),
            community=community,
            reply_to=reply_to,
            question=kind == "question",
            best=_flag(entry, "best"),
            warning=entry.text_or_none("warning") or "",
            quotes=quotes,
            praises=known_people(entry, "praises", people),
            value=entry.text_or_none("value") or "",
            poll=_poll(entry, people),
            reactions=_reactions(entry, people),
        )
        entry.finish()
        if post.best and (reply_to is None or not posts[reply_to].question):
            raise entry.wrong("only an answer to a question is the best one")
        if bool(post.praises) != bool(post.value):
            raise entry.wrong("thanks need both praises and value")
        add(posts, entry, post)
    return posts


def _poll(entry: Entry, people: Collection[str]) -> Poll | None:
    value = entry.take("poll", default=None)
    if value is None:
        return None
    inner = Entry(entry.file, f"{entry.key}: poll", value)
    minutes = inner.number_or_none("minutes", 24 * 60)
    days = inner.number_or_none("days", _DAYS_MOST)
    if (minutes is None) == (days is None) or (minutes is not None and minutes < _POLL_MINUTES_LEAST):
        raise inner.wrong(f"needs either days or minutes, at least {_POLL_MINUTES_LEAST} of them")
    options = _people_by(inner, "options", people)
    inner.finish()
    distinct(inner, "the votes", [voter for voters in options.values() for voter in voters])
    return Poll(lasts=timedelta(minutes=minutes or 0, days=days or 0), options=options)


def _reactions(entry: Entry, people: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    reactions = _people_by(entry, "reactions", people)
    for emoji in reactions:
        if canonical(emoji) != emoji:
            raise entry.wrong(f"{emoji!r} is not an emoji as Unicode writes it")
    return reactions


def _people_by(entry: Entry, name: str, people: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """A mapping from texts to people, each of whom stands once under a text."""
    value = entry.take(name, default={})
    if not isinstance(value, dict) or not all(isinstance(text, str) and isinstance(keys, list) for text, keys in value.items()):
        raise entry.wrong(f"{name} must map texts to lists of people")
    found = {text: tuple(known_person(entry, str(key), people) for key in keys) for text, keys in value.items()}
    for text, keys in found.items():
        distinct(entry, text, keys)
    return found


def _announcement(entry: Entry, people: Collection[str]) -> Announcement:
    percent = entry.number_or_none("confirmed_percent", 100)
    announcement = Announcement(
        key=entry.key,
        author=_person(entry, "author", people),
        language=language_of(entry, entry.text("language")),
        title=entry.text("title"),
        body=entry.text("body"),
        confirm_days=entry.number_or_none("confirm_days", _DAYS_MOST) or 1,
        confirmed_percent=percent or 0,
        waiting=known_people(entry, "waiting", people),
    )
    entry.finish()
    return announcement


def _idea(entry: Entry, people: Collection[str], authors: Mapping[str, str]) -> Idea:
    sponsor = entry.text_or_none("sponsor")
    post = _post(entry, authors)
    idea = Idea(
        post=post,
        by=authors[post],
        sponsor=known_person(entry, sponsor, people) if sponsor is not None else None,
        votes=known_people(entry, "votes", people),
        objective=entry.text_or_none("objective") or "",
        steps=tuple(
            IdeaStep(state=choice(step, "state", step.text("state"), get_args(IdeaState)), by=_person(step, "by", people),
                     reason=step.text("reason"))
            for step in _steps(entry)
        ),
    )
    entry.finish()
    return idea


def _enquiry(entry: Entry, people: Collection[str]) -> Enquiry:
    enquiry = Enquiry(
        key=entry.key,
        asker=_person(entry, "asker", people),
        to=known_people(entry, "to", people),
        body=entry.text("body"),
        votes=known_people(entry, "votes", people),
        steps=tuple(
            EnquiryStep(state=choice(step, "state", step.text("state"), get_args(EnquiryState)), by=_person(step, "by", people),
                        text=step.text("text"))
            for step in _steps(entry)
        ),
    )
    entry.finish()
    return enquiry


def _steps(entry: Entry) -> list[Entry]:
    values = entry.take("steps", default=[])
    if not isinstance(values, list):
        raise entry.wrong("steps must be a list")
    return [Entry(entry.file, f"{entry.key}: step {place}", value) for place, value in enumerate(values, start=1)]


def _pin(entry: Entry, people: Collection[str], posts: Collection[str]) -> Pin:
    pin = Pin(post=_post(entry, posts), by=_person(entry, "by", people), in_community=_flag(entry, "in_community"))
    entry.finish()
    return pin


def _repost(entry: Entry, people: Collection[str], posts: Collection[str]) -> Repost:
    repost = Repost(post=_post(entry, posts), by=known_people(entry, "by", people))
    entry.finish()
    return repost


def _list(entry: Entry, people: Collection[str]) -> PeopleList:
    found = PeopleList(owner=_person(entry, "owner", people), title=entry.text("title"), people=known_people(entry, "people", people))
    entry.finish()
    return found


def _draft(entry: Entry, people: Collection[str]) -> Draft:
    draft = Draft(
        author=_person(entry, "author", people), language=language_of(entry, entry.text("language")), body=entry.text("body"),
        in_days=entry.number_or_none("in_days", _DAYS_MOST),
    )
    entry.finish()
    return draft


def _person(entry: Entry, name: str, people: Collection[str]) -> str:
    return known_person(entry, entry.text(name), people)


def _post(entry: Entry, posts: Collection[str]) -> str:
    key = entry.text("post")
    if key not in posts:
        raise entry.wrong(f"unknown post {key!r}")
    return key


def _flag(entry: Entry, name: str) -> bool:
    value = entry.take(name, default=False)
    if not isinstance(value, bool):
        raise entry.wrong(f"{name} is true or false")
    return value
