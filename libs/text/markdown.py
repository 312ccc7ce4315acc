"""The Markdown people write posts in: a subset of CommonMark with strikethrough, links as typed, @mentions and #hashtags.

Everything is text unless this page says otherwise: HTML in a post is shown as it was typed, images become links, headings of the two
highest levels become strong text (a post is not a page). What is rendered is cleaned a second time by a sanitiser that knows nothing
of Markdown, so that an error here cannot become a script there.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

BODY_LENGTH_MAX: Final = 10_000
HASHTAG_LENGTH_MAX: Final = 64
HANDLE_LENGTH_MAX: Final = 64
LINK_LENGTH_MAX: Final = 2_000
# Levels of quotes and lists (a list takes two). A text nested deeper is shown as it was typed: nothing of it is left out.
NESTING_MAX: Final = 24

_TAGS: Final = {"a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"}
_OPENING: Final = {")": "(", "]": "["}
_SCHEMES: Final = {"http", "https", "mailto"}

# A handle ends with a letter or digit, so that the full stop after a name is none of it; an @ inside a word is an address.
_MENTION: Final = re.compile(
    rf"(?<![A-Za-z0-9_@/.+-])@([A-Za-z0-9_](?:[A-Za-z0-9._-]{{0,{HANDLE_LENGTH_MAX - 2}}}[A-Za-z0-9])?)(?![A-Za-z0-9_@])"
)
# Communities and groups are called in any script. What is a handle of a person, or begins like one, may be one of theirs.
_NAME: Final = re.compile(rf"@(\w(?:[\w.-]{{0,{HANDLE_LENGTH_MAX - 2}}}\w)?)(?![\w@])")
_EMOJI: Final = re.compile(r":([a-z0-9_]{2,40}):")
_MARKER: Final = re.compile(r"[@#＃]|(?<![A-Za-z0-9_.@/-])www\.", re.IGNORECASE)
# Addresses as people type them. Every repetition has its limit, so that no text takes longer to read than its length explains.
_ADDRESS: Final = re.compile(rf"[^\s\x00-\x1f<>\"`{{}}|\\^。、，！？）」』】》]{{1,{LINK_LENGTH_MAX}}}")
_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,10}\.?|[0-9a-f]*:[0-9a-f:.]{1,44}")
_WWW: Final = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?::[0-9]{1,5})?(?=[/?#]|$|[^a-z0-9-])", re.IGNORECASE)
_MAIL_NAME: Final = re.compile(r"(?:^|mailto:|[^A-Za-z0-9._%+/:-])([A-Za-z0-9._%+-]{1,64})\Z")
_MAIL_HOST: Final = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_@-])")


class TextTooLong(ValueError):
    """A text past its limit; the message tells its author."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a text refers to, in its order and each once: handles in lower case, hashtags normalised, and addresses of links.

    `names` are what else may be called by an @: handles of communities and groups, case folded, which may be in any script.
    """

    mentions: tuple[str, ...]
    hashtags: tuple[str, ...]
    links: tuple[str, ...]
    names: tuple[str, ...] = ()


def render(
    source: str, *, mentions: Mapping[str, tuple[str, str]] | None = None, places: Mapping[str, tuple[str, str]] | None = None,
    emoji: Mapping[str, str] | None = None,
) -> str:
    """A text as safe HTML.

    `mentions` gives id and name for the handles (in lower case) that are people, `places` address and name for those (case folded) that
    are communities and groups, `emoji` the address of the picture for each shortcode; what is in none of them stays plain text. The
    only classes are `mention`, `hashtag` and `emoji`. Results are kept for a while, see `keep_rendered`.
    Raises TextTooLong past 10,000 characters.
    """
    if len(source) > BODY_LENGTH_MAX:
        raise _too_long()
    called = [(handle, f"/people/{quote(person_id, safe='')}", name) for handle, (person_id, name) in (mentions or {}).items()]
    called += ((handle, *place) for handle, place in (places or {}).items() if handle not in (mentions or {}))
    return _rendered(source, tuple(sorted(called)), tuple(sorted((emoji or {}).items())))


def extract(source: str) -> Extracted:
    """The people, tags and pages a text refers to; code refers to nothing. Raises TextTooLong past 10,000 characters."""
    found = _Found()
    if _parse(source, {"found": found}) is None:
        found = _Found()
    return Extracted(tuple(found.mentions), tuple(found.hashtags), tuple(found.links), tuple(found.names))


def plain(source: str) -> str:
    """A text without its Markdown, one line a paragraph, for search and notifications. Raises TextTooLong past 10,000 characters."""
    tokens = _parse(source, {})
    if tokens is None:
        return source.strip()
    lines: list[str] = []
    for token in tokens:
        if token.type == "inline":
            lines.append("".join(_words(token.children or ())).strip())
        elif token.type in ("fence", "code_block"):
            lines.append(token.content.strip("\n"))
    return "\n".join(line for line in lines if line)


def excerpt(source: str, length: int = 200) -> str:
    """The beginning of a text in one line of at most `length` characters, ending in … at a word's end where something is left out."""
    text = " ".join(plain(source).split())
    if len(text) <= length:
        return text
    end = max(length - 1, 0)
    space = text.rfind(" ", max(0, end - 30), end + 1)
    if space > 0:
        end = space
    # Never between a letter and its accent, or within an emoji.
    while end > 0 and (
        unicodedata.category(text[end])[0] in "MC" or text[end - 1] == "\u200d" or "\U0001f3fb" <= text[end] <= "\U0001f3ff"
    ):
        end -= 1
    return text[:end].rstrip() + "…" if length > 0 else ""


def normal_hashtag(text: str) -> str | None:
    """The one form of a hashtag however it is typed (without its #): NFKC, case folded; None for what cannot be one.

    Letters, digits and _ of any script, at most 64 characters, at least one of them a letter.
    """
    if not text or len(text) > HASHTAG_LENGTH_MAX:
        return None
    tag = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # Normal forms may be longer, and may hold spaces and signs that the typed form did not.
    if len(tag) > HASHTAG_LENGTH_MAX or not all(map(_in_hashtag, tag)) or not any(map(str.isalpha, tag)):
        return None
    return tag


def keep_rendered(texts: int) -> None:
    """How many rendered texts are kept in memory, the least recently used going first; 0 keeps none. Forgets those kept so far."""
    global _rendered  # noqa: PLW0603 - the cache is the process's
    _rendered = lru_cache(maxsize=texts)(_render)


def _render(source: str, called: tuple[tuple[str, str, str], ...], emoji: tuple[tuple[str, str], ...]) -> str:
    tokens = _parse(source, {"called": {handle: (place, name) for handle, place, name in called}, "emoji": dict(emoji)})
    if tokens is None:
        unsafe = "<p>" + html.escape(source.strip()).replace("\n", "<br>") + "</p>"
    else:
        unsafe = _markdown.renderer.render(tokens, _markdown.options, {})
    return nh3.clean(
        unsafe,
        tags=_TAGS | {"img"} if emoji else _TAGS,
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}, "img": {"src", "alt", "title"}},
        allowed_classes={"a": {"mention", "hashtag"}, "img": {"emoji"}},
        url_schemes=_SCHEMES,
        link_rel="noopener nofollow ugc",
    )


_rendered: Callable[[str, tuple[tuple[str, str, str], ...], tuple[tuple[str, str], ...]], str] = lru_cache(maxsize=4096)(_render)


def _too_long() -> TextTooLong:
    return TextTooLong(f"A text has at most {BODY_LENGTH_MAX:,} characters; shorten it, or make it several.")


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """What is found on the way through a text; dictionaries for their order and uniqueness."""

    mentions: dict[str, None] = field(default_factory=dict)
    hashtags: dict[str, None] = field(default_factory=dict)
    links: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)


class _Subset(MarkdownIt):
    """CommonMark as far as posts have it."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "breaks": True, "xhtmlOut": False, "maxNesting": NESTING_MAX})
        self.enable(["strikethrough"])
        self.disable(["html_block", "html_inline"])
        self.inline.ruler.before("newline", "address", _address)
        self.core.ruler.after("inline", "posts", _adapt)
        # An info string would become a class.
        self.add_render_rule("fence", lambda _, tokens, at, options, env: f"<pre><code>{html.escape(tokens[at].content)}</code></pre>\n")

    def validateLink(self, url: str) -> bool:
        return len(url) <= LINK_LENGTH_MAX and _is_link(url)


def _is_link(url: str) -> bool:
    """Whether an address may be linked: on the web, to mail, or within the network."""
    if "\\" in url or any(ord(character) <= 32 for character in url):
        return False
    if url.startswith("/"):
        return not url.startswith("//")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError where there is something else
    except ValueError:
        return False
    if parts.scheme.lower() == "mailto":
        return "@" in parts.path
    # A name before the host is there to make one host look like another.
    return parts.scheme.lower() in _SCHEMES and parts.username is None and _HOST.fullmatch(parts.hostname or "") is not None


def _address(state: StateInline, silent: bool) -> bool:
    """An address typed with its scheme becomes a link before anything in it can become emphasis."""
    if state.linkLevel > 0 or not state.src.startswith("://", state.pos):
        return False
    before = state.src[max(0, state.pos - 6) : state.pos].lower()
    scheme = next((each for each in ("https", "http") if before.endswith(each)), "")
    if not scheme or before[: -len(scheme)][-1:].isalnum():
        return False
    match = _ADDRESS.match(state.src, state.pos + 3, state.posMax)
    if match is None or (state.pending[-len(scheme) :].lower() != scheme and not silent):
        return False
    typed = state.src[state.pos - len(scheme) : match.start()] + _trimmed(match[0])
    url = state.md.normalizeLink(typed)
    if silent:
        pass
    elif state.md.validateLink(url):
        state.pending = state.pending[: -len(scheme)]
        for token in _link(url, typed):
            pushed = state.push(token.type, token.tag, token.nesting)
            pushed.attrs, pushed.content = token.attrs, token.content
    else:
        # Passed over as a whole: trying again at every :// in it would take time in the square of its length.
        state.pending += typed[len(scheme) :]
    state.pos += len(typed) - len(scheme)
    return True


def _trimmed(address: str) -> str:
    """Without what belongs to the sentence around it: from a bracket that was opened before, and the stops at its end."""
    opened: list[str] = []
    for at, character in enumerate(address):
        if character in "([":
            opened.append(character)
        elif character in ")]" and (not opened or opened.pop() != _OPENING[character]):
            address = address[:at]
            break
    return address.rstrip(".,;:!?*_~'…")


def _adapt(state: StateCore) -> None:
    """Turn what a post does not have into what it has, and find mentions and hashtags outside code and links."""
    for at, token in enumerate(state.tokens):
        if token.type == "inline" and token.children:
            token.children = _inline(token.children, state.env)
        if token.tag in ("h1", "h2"):
            token.tag = "p"
            if token.nesting == 1:
                inline = state.tokens[at + 1]
                inline.children = [Token("strong_open", "strong", 1), *(inline.children or []), Token("strong_close", "strong", -1)]


def _inline(children: Sequence[Token], env: MutableMapping[str, Any]) -> list[Token]:
    done: list[Token] = []
    link: Token | None = None
    for token in children:
        if token.type == "image":
            address = str(token.attrs.get("src", ""))
            words = token.content or address
            done += [_text(words)] if link or not address else _link(address, words)
            _note(env, "links", address)
        elif token.type == "link_open":
            link = token
            _note(env, "links", str(token.attrs["href"]))
            # [words]() leads nowhere and stays words.
            done += [token] if token.attrs["href"] else []
        elif token.type == "link_close":
            done += [token] if link and link.attrs["href"] else []
            link = None
        elif token.type == "text" and not link and _MARKER.search(token.content):
            # An escape sets nothing apart: a\.#b is one word.
            previous = done[-1].content[-1:] if done and done[-1].type in ("text", "text_special") else ""
            done += _marked(token.content, previous, env)
        else:
            done.append(token)
    return _with_pictures(done, env["emoji"]) if env.get("emoji") else done


def _with_pictures(tokens: Iterable[Token], emoji: Mapping[str, str]) -> list[Token]:
    """The tokens with the words between colons that are pictures as such."""
    done: list[Token] = []
    for token in tokens:
        shown = 0
        if token.type == "text":
            at = 0
            while match := _EMOJI.search(token.content, at):
                if match[1] not in emoji:
                    at = match.end() - 1  # the second colon may begin the next
                    continue
                if match.start() > shown:
                    done.append(_text(token.content[shown : match.start()]))
                attributes: dict[str, str | int | float] = {
                    "class": "emoji", "src": emoji[match[1]], "alt": match[0], "title": match[0],
                }
                done.append(Token("emoji", "img", 0, attrs=attributes, content=match[0]))
                shown = at = match.end()
        if not shown:
            done.append(token)
        elif shown < len(token.content):
            done.append(_text(token.content[shown:]))
    return done


def _marked(text: str, previous: str, env: MutableMapping[str, Any]) -> Iterable[Token]:
    """A run of text as text and the links of its mentions and hashtags. `previous` is the character before it."""
    done: list[Token] = []
    shown = at = 0
    while match := _MARKER.search(text, at):
        before = text[match.start() - 1] if match.start() else previous
        if match[0] == "@":
            start, at, link = _at_sign(text, match.start(), shown, before, env)
        elif match[0] in "#＃":
            start, at, link = _hash_sign(text, match.start(), before, env)
        else:
            start, at, link = _www(text, match.start(), env)
        if link:
            if start > shown:
                done.append(_text(text[shown:start]))
            done += link
            shown = at
    if shown < len(text):
        done.append(_text(text[shown:]))
    return done


# Each of these says where its link starts, where reading goes on, and what the link is: nothing, where there is none.
_Mark = tuple[int, int, list[Token]]


def _at_sign(text: str, start: int, shown: int, before: str, env: MutableMapping[str, Any]) -> _Mark:
    # Judged with the character before it, which may stand in the run of text before this one.
    mention = _MENTION.match(before + text[start : start + HANDLE_LENGTH_MAX + 2], len(before))
    handle, end = (mention[1].lower(), start + mention.end() - len(before)) if mention is not None else ("", start + 1)
    _note(env, "mentions", handle)
    named = _NAME.match(text, start) if not before or not (_in_hashtag(before) or before in "@/.+-") else None
    if named is not None and (longer := named[1].casefold()) and (mention is None or len(named[1]) > len(mention[1])):
        _note(env, "names", longer)
        if longer in env.get("called", ()):
            place, name = env["called"][longer]
            return start, named.end(), _link(place, f"@{name}", "mention")
    if handle:
        _note(env, "names", handle)
        if handle not in env.get("called", ()):
            return start, end, []
        place, name = env["called"][handle]
        return start, end, _link(place, f"@{name}", "mention")
    name_before, host = _MAIL_NAME.search(text[max(shown, start - 72) : start]), _MAIL_HOST.match(text, start + 1)
    if name_before is None or host is None:
        return start, start + 1, []
    return _typed(start - len(name_before[1]), host.end(), "mailto:", text, env)


def _hash_sign(text: str, start: int, before: str, env: MutableMapping[str, Any]) -> _Mark:
    end = start + 1
    while end < len(text) and _in_hashtag(text[end]):
        end += 1
    if before and (before in "&/#＃@" or _in_hashtag(before)):
        return start, end, []
    tag = normal_hashtag(text[start + 1 : end])
    if tag is None:
        return start, end, []
    _note(env, "hashtags", tag)
    return start, end, _link(f"/tags/{quote(tag, safe='')}", text[start:end], "hashtag")


def _www(text: str, start: int, env: MutableMapping[str, Any]) -> _Mark:
    host, address = _WWW.match(text, start + 4), _ADDRESS.match(text, start + 4)
    if host is None or address is None:
        return start, start + 4, []
    end = host.end() if text[host.end() : host.end() + 1] not in ("/", "?", "#") else start + 4 + len(_trimmed(address[0]))
    return _typed(start, max(end, host.end()), "http://", text, env)


def _typed(start: int, end: int, scheme: str, text: str, env: MutableMapping[str, Any]) -> _Mark:
    url = _markdown.normalizeLink(scheme + text[start:end])
    if not _markdown.validateLink(url):
        return start, end, []
    _note(env, "links", url)
    return start, end, _link(url, text[start:end])


def _note(env: MutableMapping[str, Any], kind: str, value: str) -> None:
    if value and "found" in env:
        getattr(env["found"], kind)[value] = None


def _in_hashtag(character: str) -> bool:
    # Marks are parts of letters in many scripts; the joiners shape letters in Persian and in Indic scripts.
    return character == "_" or character.isalnum() or character in "\u200c\u200d" or unicodedata.category(character)[0] == "M"


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _link(address: str, words: str, name: str = "") -> list[Token]:
    attributes: dict[str, str | int | float] = {"href": address}
    if name:
        attributes["class"] = name
    return [Token("link_open", "a", 1, attrs=attributes), _text(words), Token("link_close", "a", -1)]


def _words(children: Iterable[Token]) -> Iterable[str]:
    for token in children:
        if token.type in ("text", "text_special", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n"


_markdown = _Subset()


def _parse(source: str, env: dict[str, Any]) -> list[Token] | None:
    """The tokens of a text, or None where it is nested too deep, which the parser answers by leaving text out."""
    if len(source) > BODY_LENGTH_MAX:
        raise _too_long()
    tokens = _markdown.parse(source, env)
    if any(token.nesting == 1 and token.level >= NESTING_MAX - 1 for token in tokens):
        return None
    return tokens
