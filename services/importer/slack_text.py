"""Slack's way of writing text, turned into the Markdown of posts."""
from __future__ import annotations

import html
import re
from collections.abc import Mapping

from libs.text.emoji import by_name

_ANGLED = re.compile(r"<([^<>\n]{1,3000})>")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_EMOJI = re.compile(r":([a-z0-9_+'-]{1,60}):(?::skin-tone-([2-6]):)?")
_BOLD = re.compile(r"(?<![\w*])\*(\S(?:[^*\n]{0,2000}\S)?)\*(?![\w*])")
_STRUCK = re.compile(r"(?<![\w~])~(\S(?:[^~\n]{0,2000}\S)?)~(?![\w~])")
_TONES = {str(number): chr(0x1F3FB + number - 2) for number in range(2, 7)}
_OWN_NAMES = {"simple_smile": "slightly_smiling_face"}
_SAFE = ("http://", "https://", "mailto:", "tel:")


def emoji(name: str) -> str | None:
    """The emoji that Slack calls so, with its skin tone; None where Unicode has none, as for a company's own."""
    plain, _, tone = name.partition("::skin-tone-")
    found = by_name(_OWN_NAMES.get(plain, plain))
    if found is None or not tone:
        return found
    return found.replace("\ufe0f", "") + _TONES.get(tone, "")


def to_markdown(source: str, handles: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """A message's text: mentions become @handles, links and emphasis Markdown, emoji Unicode; code stays as it is."""
    parts = _CODE.split(source)
    written = [_code(part) if number % 2 else _prose(part, handles, channels) for number, part in enumerate(parts)]
    return "".join(written).strip()


def _code(part: str) -> str:
    inner = _ANGLED.sub(lambda match: match[1].partition("|")[2] or match[1], part)
    if inner.startswith("```") and len(inner) > 6:
        return f"\n```\n{html.unescape(inner[3:-3]).strip(chr(10))}\n```\n"
    return html.unescape(inner)


def _prose(part: str, handles: Mapping[str, str], channels: Mapping[str, str]) -> str:
    pieces: list[str] = []
    end = 0
    for match in _ANGLED.finditer(part):
        pieces += [_emphasis(part[end : match.start()]), _angled(match[1], handles, channels)]
        end = match.end()
    pieces.append(_emphasis(part[end:]))
    return "".join(pieces)


def _emphasis(part: str) -> str:
    part = _STRUCK.sub(r"~~\1~~", _BOLD.sub(r"**\1**", part))
    return html.unescape(_EMOJI.sub(lambda match: emoji(_with_tone(match)) or match[0], part))


def _with_tone(match: re.Match[str]) -> str:
    return f"{match[1]}::skin-tone-{match[2]}" if match[2] else match[1]


def _angled(inner: str, handles: Mapping[str, str], channels: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    label = html.unescape(label).replace("[", "(").replace("]", ")")
    if target.startswith("@"):
        return "@" + (handles.get(target[1:]) or label.lstrip("@") or target[1:])
    if target.startswith("#"):
        return "#" + (channels.get(target[1:]) or label.lstrip("#") or target[1:])
    if target.startswith("!"):
        return label or target[1:].partition("^")[0]
    address = html.unescape(target)
    if not address.startswith(_SAFE):
        return label or address
    shown = address.removeprefix("mailto:")
    if not label or label == shown:
        return shown
    return f"[{label}]({address.replace(')', '%29').replace('(', '%28').replace(' ', '%20')})"
