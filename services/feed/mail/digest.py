"""A digest as a letter: plain text and HTML, of what its reader may see at the moment it is made."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.mail.letters import POLICY
from libs.text.markdown import excerpt
from watercooler.feed.v1.feed_service_pb2 import Notification, Post

from .texts import reason as reason_in
from .texts import say, title

EXCERPT_CHARACTERS: Final = 240
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a digest: what happened, a few words of it, and where to go."""

    title: str
    text: str
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; `more` is how many there are beyond."""

    heading: str
    items: Sequence[Item]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """What a digest is made of."""

    name: str
    since: datetime
    daily: bool
    announcements: Sequence[Post]
    questions: Sequence[Notification]
    notifications: Sequence[Notification]
    more_notifications: int
    posts: Sequence[tuple[Post, tuple[str, ...]]]

    @property
    def notification_count(self) -> int:
        """What is for the reader in person."""
        return len(self.announcements) + len(self.questions) + len(self.notifications) + self.more_notifications

    @property
    def is_empty(self) -> bool:
        """Nothing is worth a letter."""
        return not self.notification_count and not self.posts


@dataclass(frozen=True, slots=True)
class Written:
    """A digest ready to be shown or sent."""

    subject: str
    text: str
    html: str


def words_of(post: Post, characters: int = EXCERPT_CHARACTERS) -> str:
    """The beginning of a post; of one with a warning only that; nothing of what is deleted or erased."""
    shown = post.reposted if post.HasField("reposted") else post
    if shown.deleted or shown.erased:
        return ""
    return shown.warning or excerpt(shown.body, characters)


def write(content: Content, language: str, address: str, stop_url: str) -> Written:
    """The digest in a language, with links that begin with `address`."""
    sections = _sections(content, language, address)
    count = content.notification_count
    if count:
        subject = say(language, "Your day: {count} for you" if content.daily else "Your week: {count} for you", count=count)
    else:
        subject = say(language, "Your day at a glance" if content.daily else "Your week at a glance")
    values = {
        "language": language, "subject": subject, "sections": sections, "address": address, "stop_url": stop_url,
        "hello": say(language, "Hello {who},", who=content.name),
        "intro": say(
            language, "this is what happened for you since {since}.", since=format_date(content.since, "long", locale=language)
        ) if sections else say(language, "Nothing is new. A digest without news is not sent."),
        "say": lambda text, **given: say(language, text, **given),
    }
    return Written(
        subject, _TEMPLATES.get_template("digest.txt").render(**values).strip() + "\n",
        _TEMPLATES.get_template("digest.html").render(**values),
    )


def _sections(content: Content, language: str, address: str) -> list[Section]:
    announced = [
        Item(post.author.display_name, words_of(post), f"{address}/posts/{post.post_id}") for post in content.announcements
    ]
    best = [
        Item(
            post.author.display_name + (f" · {post.community_name}" if post.community_name else ""), words_of(post),
            f"{address}/posts/{(post.reposted_id or post.post_id)}", " · ".join(reason_in(language, each) for each in reasons),
        )
        for post, reasons in content.posts
    ]
    sections = [
        Section(say(language, "Waits for your confirmation"), announced),
        Section(say(language, "Questions you may know the answer to"), [_item(each, language, address) for each in content.questions]),
        Section(
            say(language, "For you"), [_item(each, language, address) for each in content.notifications], content.more_notifications
        ),
        Section(say(language, "Worth reading"), best),
    ]
    return [section for section in sections if section.items]


def _item(notification: Notification, language: str, address: str) -> Item:
    return Item(
        title(language, notification), words_of(notification.post) if notification.HasField("post") else "",
        address + path_of(notification),
    )


def path_of(notification: Notification) -> str:
    """Where a notification leads to."""
    if notification.HasField("post"):
        return f"/posts/{notification.post.post_id}"
    if notification.community_id:
        return f"/communities/{notification.community_id}"
    if notification.actors:
        return f"/people/{notification.actors[0].person_id}"
    return "/notifications"


def letter(written: Written, *, sender: str, to: str, message_id: str, now: datetime, stop_url: str) -> EmailMessage:
    """The digest as a letter, that a mail program can end with one click (RFC 8058). Raises ValueError for an address that is none."""
    made = EmailMessage(policy=POLICY)
    made["From"] = sender
    made["To"] = to
    made["Subject"] = written.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made["List-Unsubscribe"] = f"<{stop_url}>"
    made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(written.text)
    made.add_alternative(written.html, subtype="html")
    return made
