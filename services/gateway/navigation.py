"""What the rail shows: one line an entry; a part of the product that comes later appears by adding its line."""

from __future__ import annotations

from .views import NavEntry


def N_(text: str) -> str:
    """Marks a text for the catalogue; it is translated where it is shown."""
    return text


def navigation(*, unread_count: int = 0, is_guest: bool = False, cases: int = -1, announcements: int = 0) -> list[NavEntry]:
    """The entries of the rail, in order; guests do not see the organisation. `cases` wait for who moderates; -1 for all others."""
    entries = [
        NavEntry(key="home", label=N_("Home"), url="/", icon="house"),
        NavEntry(key="announcements", label=N_("Announcements"), url="/announcements", icon="megaphone", count=announcements),
        NavEntry(key="communities", label=N_("Communities"), url="/communities", icon="users-round"),
        NavEntry(key="asking", label=N_("Ask and ideas"), url="/questions", icon="circle-question-mark"),
        NavEntry(key="people", label=N_("People"), url="/people", icon="contact-round"),
        NavEntry(key="organization", label=N_("Organisation"), url="/organisation", icon="network"),
        NavEntry(key="saved", label=N_("Saved"), url="/saved", icon="bookmark"),
        NavEntry(key="lists", label=N_("Lists"), url="/lists", icon="list"),
        NavEntry(key="drafts", label=N_("Drafts"), url="/drafts", icon="file-pen"),
        NavEntry(key="notifications", label=N_("Notifications"), url="/notifications", icon="bell", count=unread_count),
    ]
    if cases >= 0:
        entries.append(NavEntry(key="moderation", label=N_("Moderation"), url="/moderation", icon="flag", count=cases))
    if is_guest:
        return [entry for entry in entries if entry.key not in ("people", "organization")]
    return entries
