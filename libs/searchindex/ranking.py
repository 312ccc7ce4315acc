"""How hits are ranked and shown: the same for every engine, and knowing none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from libs.searchindex import text
from libs.searchindex.index import Document, Fragment, Hit, Query, Removal

FIELD_BOOSTS: Final = {"title": 3.0, "names": 3.0, "keywords": 1.5, "body": 1.0}
OTHER_FIELDS: Final = 0.1  # the share of the score that the fields beside the best one add
FORM_BOOST: Final = 0.7  # a word as it was typed beats its stem
PREFIX_SCORE: Final = 0.5
WORDS_SHARE: Final = 0.75  # of three words or more this share must be there
AGE_WEIGHT: Final = 0.25  # the share of the score that age can take
AGE_HALF_LIFE_US: Final = 90 * 24 * 3600 * 1_000_000
SUGGESTION_CANDIDATES: Final = 60
NAME_BEGINS_SCORE: Final = 20.0
OTHER_SPELLING: Final = 0.95
PERSON_FIELDS: Final = (("person_words", 1.0), ("person_keywords", 0.2))


def freshness(then: int, now: int) -> float:
    """The factor by which age lowers a score: 1 for now, never below 1 - `AGE_WEIGHT`; a document without a time has no age."""
    if then == 0:
        return 1.0
    return 1 - AGE_WEIGHT + AGE_WEIGHT * math.exp2(-max(0, now - then) / AGE_HALF_LIFE_US)


def needed(words: int) -> int:
    """How many of the words of a query, or of the pairs of a run, a document must have."""
    return math.ceil(words * WORDS_SHARE)


def person_steps(options: Sequence[str]) -> Iterator[tuple[float, str, str, str, int]]:
    """What a word of a people query may match, as (score, kind of match, field, word, typing errors).

    A better kind of match always scores more: whole word, beginning, typing errors; names before job title and department.
    """
    for index, word in enumerate(options):
        spelling = OTHER_SPELLING if index else 1.0
        for field, part in PERSON_FIELDS:
            weight = part * spelling
            yield 10 * weight, "whole", field, word, 0
            yield 7 * weight, "start", field, word, 0
            for errors in range(1, text.allowed_errors(word) + 1):
                yield 5 * weight / errors, "whole", field, word, errors
                yield 4 * weight / errors, "start", field, word, errors


def folded_tag(tag: str) -> str:
    """A tag as it is compared, without its sign."""
    return text.fold(tag.strip().lstrip("#\uff03"))


def texts(document: Document) -> tuple[tuple[str, str], ...]:
    """The fields that hold words, by name."""
    return (
        ("title", document.title), ("names", " ".join(document.names)), ("keywords", " ".join(document.keywords)), ("body", document.body),
    )


def entry(document: Document | Removal, cut: Callable[[str, Sequence[str]], list[str]]) -> dict[str, Any]:
    """What every engine indexes; `cut` makes the forms of a text in these languages.

    A removal stays as id and version without audience: no query finds it and no late write revives it.
    """
    made: dict[str, Any] = {"id": document.id, "version": document.version}
    if isinstance(document, Removal):
        return made
    languages = text.languages_of(document.language)
    tags = [folded_tag(tag) for tag in document.tags]
    for name, value in texts(document):
        forms = cut(value, languages)
        if name == "body":
            forms.extend("#" + "".join(tag.split()) for tag in tags)
        made[name] = " ".join(text.words(value))
        made[f"{name}_forms"] = " ".join(forms)
    if document.kind == "person":
        made["person_name"] = [text.folded_name(name)[:200] for name in (document.title, *document.names)]
    return made | {
        "kind": document.kind,
        "audience": list(document.audience),
        "language": [text.STEMMERS[language] for language in languages],
        "author_id": document.author_id,
        "community_id": document.community_id,
        "tags": tags,
        "stored": json.dumps(to_show(document), separators=(",", ":")),
    }


def total(facets: Mapping[str, int], query: Query) -> int:
    """How many of the counted documents are of the kinds asked for."""
    return sum(count for kind, count in facets.items() if not query.kinds or kind in query.kinds)


def to_show(document: Document) -> dict[str, Any]:
    """What an engine keeps of a document to show it."""
    return {
        "id": document.id, "kind": document.kind, "title": document.title, "body": document.body, "language": document.language,
        "author_id": document.author_id, "community_id": document.community_id, "create_time": document.create_time,
        "extra": document.extra,
    }  # fmt: skip


def hit(stored: Mapping[str, Any], score: float, highlighter: text.Highlighter) -> Hit:
    """A hit of a search, from what `to_show` kept."""
    languages = text.languages_of(stored["language"])
    return _shown(stored, score, highlighter.whole(stored["title"], languages), highlighter.snippet(stored["body"], languages))


def person(stored: Mapping[str, Any], score: float, words: Sequence[tuple[str, ...]], stem: text.Stem) -> Hit:
    """A suggested person, from what `to_show` kept."""
    nothing = text.Highlighter([], stem)
    return _shown(stored, score, Fragment(stored["title"], text.typed_ranges(stored["title"], words)), nothing.snippet(stored["body"], ()))


def _shown(stored: Mapping[str, Any], score: float, title: Fragment, snippet: Fragment) -> Hit:
    return Hit(
        id=stored["id"],
        kind=stored["kind"],
        score=score,
        title=title,
        snippet=snippet,
        author_id=stored["author_id"],
        community_id=stored["community_id"],
        create_time=stored["create_time"],
        extra=stored["extra"],
    )
