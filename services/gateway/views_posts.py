"""What the pages about single posts show, beside views.py."""
# ruff: noqa: RUF012 - msgspec copies the empty lists that are defaults here.
from __future__ import annotations

from typing import ClassVar

from .views import Page, PersonRef, PostPage, PostView


class RepostsPage(Page, frozen=True, kw_only=True):
    """Who passed a post on, newest first."""

    template: ClassVar[str] = "pages/reposts.html"
    post: PostView
    people: list[PersonRef] = []
    next_url: str = ""


class QuotesPage(Page, frozen=True, kw_only=True):
    """What quotes a post, newest first."""

    template: ClassVar[str] = "pages/quotes.html"
    post: PostView
    page: PostPage
