"""What a page says of itself, for the preview of a link: title, description, picture. Pure; what is not said is empty."""
from __future__ import annotations

import re
import time
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

TITLE_CHARACTERS: Final = 200
DESCRIPTION_CHARACTERS: Final = 400
NAME_CHARACTERS: Final = 100
# Beyond this a page has not said who it is.
HEAD_BYTES: Final = 256 * 1024
# One construct that never ends is no page; the parser would look at it again with each further piece.
OPEN_CHARACTERS: Final = 32 * 1024
PIECE_CHARACTERS: Final = 4 * 1024
PARSE_SECONDS: Final = 1.0

_CHARSET: Final = re.compile(rb"""<meta[^>]{0,200}?charset\s{0,10}=\s{0,10}["']?\s{0,10}([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)
# What turns the direction of a text around, so that it reads as something else.
_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says of itself."""

    title: str = ""
    description: str = ""
    site_name: str = ""
    author_name: str = ""
    image_url: str = ""


class _Head(HTMLParser):
    """Collects title and meta of a head, the first of each."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: dict[str, str] = {}
        self.title: list[str] = []
        self.in_title = self.has_title = self.over = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.over:
            return
        if tag == "meta":
            given = dict(attrs)
            name = (given.get("property") or given.get("name") or "").strip().lower()
            if name and (content := given.get("content")):
                self.said.setdefault(name[:100], content[:4_096])
        elif tag == "title" and not self.has_title:
            self.in_title = self.has_title = True
        elif tag == "body":
            self.over = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self.in_title = False
        elif tag == "head":
            self.over = True

    def handle_data(self, data: str) -> None:
        if self.in_title and sum(map(len, self.title)) < 4_096:
            self.title.append(data[:4_096])


def read(body: bytes, content_type: str, url: str) -> Told:
    """What the page at `url` says of itself; only the beginning of it is read, and for a second at most."""
    head = _Head()
    text = _decoded(body[:HEAD_BYTES], content_type)
    until = time.monotonic() + PARSE_SECONDS
    for start in range(0, len(text), PIECE_CHARACTERS):
        try:
            head.feed(text[start:start + PIECE_CHARACTERS])
        except (AssertionError, ValueError):  # what the parser answers to some declarations that are none
            break
        if head.over or len(head.rawdata) > OPEN_CHARACTERS or time.monotonic() > until:
            break
    said = head.said
    return Told(
        title=clean(said.get("og:title") or "".join(head.title) or said.get("twitter:title", ""), TITLE_CHARACTERS),
        description=clean(
            said.get("og:description") or said.get("description") or said.get("twitter:description", ""), DESCRIPTION_CHARACTERS
        ),
        site_name=clean(said.get("og:site_name") or said.get("application-name", ""), NAME_CHARACTERS),
        author_name=clean(said.get("author") or said.get("article:author", ""), NAME_CHARACTERS, names=True),
        image_url=_address(said.get("og:image:secure_url") or said.get("og:image") or said.get("twitter:image", ""), url),
    )


def clean(text: str, characters: int, *, names: bool = False) -> str:
    """One line without control characters and without what turns the direction of the text, cut where it is too long.

    `names` takes what is an address for no name.
    """
    plain = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cs", "Co") else each for each in text[:8_192])
    line = " ".join(_TURNING.sub("", plain).split())
    if names and line.startswith(("http:", "https:")):
        return ""
    return line if len(line) <= characters else line[:characters - 1].rstrip() + "…"


def _address(text: str, base: str) -> str:
    try:
        found = urljoin(base, text.strip()) if text.strip() else ""
        return found if urlsplit(found).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _decoded(body: bytes, content_type: str) -> str:
    told = re.search(r"charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{1,40})", content_type, re.IGNORECASE)
    in_page = _CHARSET.search(body[:4_096])
    for name in (told[1] if told else "", in_page[1].decode("ascii") if in_page else "", "utf-8"):
        if not name:
            continue
        try:
            return body.decode(name, "replace")
        except (LookupError, ValueError):
            continue
    return body.decode("latin-1")
