"""The scopes that apps may ask for, in words for the person who is asked."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final


def N_(text: str) -> str:
    """Marks a text for the catalogue; it is translated where it is shown."""
    return text


_WORDS: Final[dict[str, str]] = {
    "read": N_("Read everything you can read"),
    "write": N_("Write, react, join, follow and change your profile as you"),
    "follow": N_("Follow, mute and block people as you"),
    "push": N_("Receive your notifications"),
    "profile": N_("See your name, handle and photo"),
    "admin": N_("Administer the network as you"),
    "read:accounts": N_("See people and their profiles"),
    "read:blocks": N_("See whom you block"),
    "read:bookmarks": N_("See what you saved"),
    "read:collections": N_("See your collections"),
    "read:favourites": N_("See what you liked"),
    "read:filters": N_("See your filters"),
    "read:follows": N_("See whom you follow"),
    "read:lists": N_("See your lists"),
    "read:me": N_("See your name, handle and photo"),
    "read:mutes": N_("See whom you mute"),
    "read:notifications": N_("See your notifications"),
    "read:search": N_("Search as you"),
    "read:statuses": N_("Read posts"),
    "write:accounts": N_("Change your profile"),
    "write:blocks": N_("Block people as you"),
    "write:bookmarks": N_("Save posts as you"),
    "write:collections": N_("Change your collections"),
    "write:conversations": N_("Mute and delete conversations"),
    "write:favourites": N_("Like posts as you"),
    "write:filters": N_("Change your filters"),
    "write:follows": N_("Follow people as you"),
    "write:lists": N_("Change your lists"),
    "write:media": N_("Upload images as you"),
    "write:mutes": N_("Mute people and threads as you"),
    "write:notifications": N_("Clear your notifications"),
    "write:reports": N_("Report posts and people as you"),
    "write:statuses": N_("Write and delete posts as you"),
}
_ADMIN: Final = (
    "accounts", "canonical_email_blocks", "domain_allows", "domain_blocks", "email_domain_blocks", "ip_blocks", "reports",
)
SCOPES: Final = (
    *_WORDS, "admin:read", "admin:write", *(f"admin:{verb}:{each}" for verb in ("read", "write") for each in _ADMIN),
)


def in_words(scopes: Sequence[str]) -> list[str]:
    """What scopes allow, each once, as texts to be translated; one that a wider one holds is not told again."""
    told: list[str] = []
    for scope in scopes:
        head = scope.partition(":")[0]
        if head != scope and head in scopes:
            continue
        text = _WORDS.get(scope) or (N_("Administer the network as you") if head == "admin" else scope)
        if text not in told:
            told.append(text)
    return told
