"""How text becomes terms and how a typed query is read: the same for every engine, and knowing none.

Words are folded (case, width and diacritics), runs of scripts written without spaces become overlapping pairs of characters, and each word
also has *forms*: its stems and its other spellings (Müller, Mueller). An engine indexes words with positions, for phrases and prefixes, and
forms without.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from libs.searchindex.index import Fragment

TERM_LENGTH_MAX: Final = 100  # characters of a word that count; what is longer is no word but data
CLAUSES_MAX: Final = 32  # words, phrases and tags of a query that count
PHRASE_WORDS_MAX: Final = 32
SNIPPET_LENGTH: Final = 240
SNIPPET_SCAN_LENGTH: Final = 16 * 1024  # a match further down a long body is found but shown by the body's beginning

# BCP 47 primary subtag -> name of the Snowball algorithm.
STEMMERS: Final = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "it": "italian", "nb": "norwegian", "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
GUESSED_LATIN: Final = ("en", "de", "fr", "es")  # a text in Latin letters that does not say its language
QUERY_LATIN: Final = ("en", "de", "fr", "es", "pt", "it", "nl", "da", "sv", "no", "fi", "hu", "ro", "tr")

Stem = Callable[[str, str], str]
"""(Snowball algorithm, lower-case word) -> stem."""

_MARKS = "".join(re.escape(chr(c)) for c in range(0x300, 0xFFFF) if unicodedata.category(chr(c)) in ("Mn", "Mc")) + "\u00ad\u200c\u200d"
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
# Han, kana, Hangul; Thai, Lao, Burmese and Khmer have no spaces between words either.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fd5\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_SCRIPT_RUNS = re.compile(rf"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_TOKEN = re.compile(
    rf"(?P<tag>(?<![\w&/])[#\uff03](?:{_LETTER}|_)+)"
    rf"|(?P<handle>(?<![\w/])@(?:{_LETTER}|_)+(?:[.-](?:{_LETTER}|_)+)*)"
    r"|(?P<code>(?<!\w)[A-Za-z](?:\+\+|\#)(?!\w))"  # C++, C#: names of things that no letter rule keeps
    rf"|(?P<word>{_LETTER}+)"
    "|(?P<symbol>[\u2190-\u2bff\U0001f000-\U0001fbff])"
)
_LETTERS_APART = str.maketrans({
    "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŋ": "n", "ħ": "h", "ŧ": "t",
    "\u00ad": None, "\u200c": None, "\u200d": None,
})  # fmt: skip
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_UNFOLDED_UMLAUT = re.compile(r"(?<![aeiouq])([aou])e")
_COMBINING = re.compile("[\u0300-\u036f]")


class Token(NamedTuple):
    """A term of a text at [start, end): a word, a pair of an unspaced script, a symbol, or a tag or handle with its sign."""

    term: str
    start: int
    end: int
    kind: str
    raw: str


@lru_cache(maxsize=16_384)
def fold(word: str) -> str:
    """The word without case, width or diacritics, at most `TERM_LENGTH_MAX` characters."""
    if word.isascii():
        return word.lower()[:TERM_LENGTH_MAX]
    apart = _COMBINING.sub("", unicodedata.normalize("NFKD", word).casefold())
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", apart).translate(_LETTERS_APART))[:TERM_LENGTH_MAX]


def tokens(text: str) -> Iterator[Token]:
    """The terms of a text in order. A tag or handle comes before the words it is made of."""
    for match in _TOKEN.finditer(text):
        kind, raw, start = match.lastgroup or "", match.group(), match.start()
        if kind in ("tag", "handle"):
            sign = "#" if kind == "tag" else "@"
            yield Token(sign + fold(raw[1:]), start, match.end(), kind, raw)
            for inner in tokens(raw[1:]):
                yield inner._replace(start=inner.start + start + 1, end=inner.end + start + 1)
        elif kind == "word" and not raw.isascii():
            yield from _word_tokens(raw, start)
        else:
            yield Token(fold(raw), start, match.end(), kind, raw)


def _word_tokens(raw: str, start: int) -> Iterator[Token]:
    for run in _SCRIPT_RUNS.finditer(raw):
        piece, at = run.group(), start + run.start()
        if not re.match(rf"[{_UNSPACED}]", piece):
            if term := fold(piece):
                yield Token(term, at, at + len(piece), "word", piece)
            continue
        folded = unicodedata.normalize("NFKC", piece)
        if len(folded) == 1:
            yield Token(folded, at, at + len(piece), "pair", piece)
        for index in range(len(folded) - 1):
            # Where folding changed the length (half-width kana) the whole run stands for each of its pairs.
            span = (at + index, at + index + 2) if len(folded) == len(piece) else (at, at + len(piece))
            yield Token(folded[index : index + 2], *span, "pair", folded[index : index + 2])


def words(text: str) -> list[str]:
    """The terms of a text that have a place in it: what phrases and prefixes are searched in."""
    return [token.term for token in tokens(text) if token.kind not in ("tag", "handle")]


def forms(text: str, languages: Sequence[str], stem: Stem) -> list[str]:
    """The further terms a text is found by: stems, other spellings, tags, handles, single characters of unspaced scripts."""
    found: list[str] = []
    for token in tokens(text):
        found.extend(_forms_of(token.raw, token.term, token.kind, tuple(languages), stem))
    return found


@lru_cache(maxsize=16_384)
def _forms_of(raw: str, term: str, kind: str, languages: tuple[str, ...], stem: Stem) -> tuple[str, ...]:
    if kind in ("tag", "handle"):
        return (term,)
    if kind == "pair":
        return tuple(term)
    if kind != "word":
        return ()
    german = raw[0].isupper() or languages == ("de",)
    return tuple(dict.fromkeys([*stems(raw, term, languages, stem), *spellings(raw, term, reduce=german)]))


def stems(raw: str, term: str, languages: Iterable[str], stem: Stem) -> list[str]:
    """The folded stems of a word, with and without its diacritics, in the languages of its script.

    Each carries its language (`german:haus`): what means one thing in French says nothing about a Portuguese text.
    """
    found: dict[str, None] = {}
    lower = unicodedata.normalize("NFC", raw).lower()[:TERM_LENGTH_MAX]
    for language in _of_script(lower, languages):
        algorithm = STEMMERS[language]
        found[f"{algorithm}:{fold(stem(algorithm, lower))}"] = None
        if term != lower:
            found[f"{algorithm}:{fold(stem(algorithm, term))}"] = None
    return list(found)


def to_stem(text: str, languages: Sequence[str]) -> dict[str, list[str]]:
    """The words of a text by the algorithm that is to stem them, each with and without its diacritics, for an engine that stems itself."""
    found: dict[str, list[str]] = {}
    for token in tokens(text):
        if token.kind != "word":
            continue
        lower = unicodedata.normalize("NFC", token.raw).lower()[:TERM_LENGTH_MAX]
        for algorithm in dict.fromkeys(STEMMERS[language] for language in _of_script(lower, languages)):
            found.setdefault(algorithm, []).extend(dict.fromkeys((lower, token.term)))
    return found


def without_stems(forms: Iterable[str]) -> list[str]:
    """Those of a text's or clause's forms that are no stems: an engine that stems itself is given these."""
    return [form for form in forms if ":" not in form]


def spellings(raw: str, term: str, *, reduce: bool) -> list[str]:
    """Other ways to write a word: Müller as mueller and, where `reduce`, Mueller as muller."""
    found = []
    expanded = fold(unicodedata.normalize("NFC", raw).lower().translate(_UMLAUTS))
    if expanded != term:
        found.append(expanded)
    if reduce:
        reduced = _UNFOLDED_UMLAUT.sub(r"\1", term)
        if reduced != term and len(reduced) >= 3:
            found.append(reduced)
    return found


def languages_of(tag: str) -> tuple[str, ...]:
    """The languages to stem a text in: the one its BCP 47 tag names if it can be stemmed, several where there is no tag."""
    primary = re.split(r"[-_]", tag.strip().lower(), maxsplit=1)[0]
    if primary in STEMMERS:
        return (primary,)
    if primary in ("ja", "ko", "th", "zh"):
        return ("en",)  # their own words need no stems; the Latin ones between them are mostly English
    return () if primary else GUESSED_LATIN


def _of_script(word: str, languages: Iterable[str]) -> Iterable[str]:
    first = ord(word[0]) if word else 0
    if first < 0x250 or 0x1E00 <= first < 0x1F00:
        return languages
    if 0x400 <= first < 0x530:
        return ("ru",)
    if 0x370 <= first < 0x400 or 0x1F00 <= first < 0x2000:
        return ("el",)
    if 0x600 <= first < 0x780:
        return ("ar",)
    if 0xB80 <= first < 0xC00:
        return ("ta",)
    return ()


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing a query asks for.

    A `word` (or symbol) has its exact term first and then its forms in `terms`; a `run` of an unspaced script has its pairs, a `phrase` its
    words in order, a `tag` or `handle` its one term with the sign. `prefix` says that longer words beginning with the first term match too.
    `raw` is a word as it was typed.
    """

    kind: str
    terms: tuple[str, ...]
    excluded: bool = False
    prefix: bool = False
    raw: str = ""


_QUOTES = '"\u201c\u201d\u201e'
_CLAUSE = re.compile(rf"(?P<minus>(?<!\S)-)?(?:[{_QUOTES}](?P<phrase>[^{_QUOTES}]*)[{_QUOTES}]|(?P<rest>[^\s{_QUOTES}]+))")


def parse(text: str, stem: Stem, languages: Sequence[str] = QUERY_LATIN) -> list[Clause]:
    """What a typed query asks for; every string has a meaning, and one without letters, digits or symbols asks for nothing.

    `languages` are those of the indexed texts in Latin letters: a query does not say its own.
    """
    found: list[Clause] = []
    end = 0
    for match in _CLAUSE.finditer(text):
        excluded = match["minus"] is not None
        if match["phrase"] is not None:
            clauses = _phrase(match["phrase"], stem, languages)
        else:
            clauses = _bare(match["rest"], stem, languages)
            if excluded and len(clauses) > 1:  # -well-known excludes the thing, not each of its words
                clauses = _phrase(match["rest"], stem, languages)
        found.extend(replace(clause, excluded=excluded) for clause in clauses)
        end = match.end() if match["phrase"] is None else 0
    found = found[:CLAUSES_MAX]
    if found and end == len(text) and found[-1].kind == "word" and not found[-1].excluded and len(found[-1].terms[0]) > 1:
        found[-1] = replace(found[-1], prefix=True)
    return found


def _phrase(text: str, stem: Stem, languages: Sequence[str]) -> list[Clause]:
    terms = words(text)[:PHRASE_WORDS_MAX]
    return [Clause("phrase", tuple(terms))] if len(terms) > 1 else _bare(text, stem, languages)


def _bare(text: str, stem: Stem, languages: Sequence[str]) -> list[Clause]:
    found: list[Clause] = []
    run: list[Token] = []
    skip_to = 0
    for token in tokens(text):
        if run and (token.kind != "pair" or token.start > run[-1].end):
            found.append(_run(run))
            run = []
        if token.end <= skip_to:
            continue  # the words inside a tag or handle
        if token.kind == "pair":
            run.append(token)
        elif token.kind in ("tag", "handle"):
            found.append(Clause(token.kind, (token.term,)))
            skip_to = token.end
        else:
            found.append(Clause("word", (token.term, *_query_forms(token, stem, languages)), raw=token.raw))
    if run:
        found.append(_run(run))
    return found


def _run(run: Sequence[Token]) -> Clause:
    return Clause("run", tuple(token.term for token in run)[:PHRASE_WORDS_MAX])


def _query_forms(token: Token, stem: Stem, languages: Sequence[str]) -> list[str]:
    if token.kind != "word":
        return []
    # Reducing only words that stay long keeps "does" from finding "dos".
    reduced = spellings(token.raw, token.term, reduce=len(token.term) > 5)
    found = dict.fromkeys([*stems(token.raw, token.term, languages, stem), *reduced])
    found.pop(token.term, None)
    return list(found)


def names_terms(names: Iterable[str]) -> list[str]:
    """What a person is found by while typing: words, other spellings, compounds joined (O'Brien as obrien), endings of an unspaced name."""
    found: dict[str, None] = {}
    for name in names:
        for part in name.split():
            folded = [fold(match.group()) for match in _TOKEN.finditer(part) if match.lastgroup == "word"]
            if len(folded) > 1:
                found["".join(folded)[:TERM_LENGTH_MAX]] = None
        for word in _name_words(name):
            term = fold(word)
            found[term] = None
            found.update(dict.fromkeys(spellings(word, term, reduce=True)))
            if _SCRIPT_RUNS.fullmatch(word) and re.match(rf"[{_UNSPACED}]", word):
                found.update(dict.fromkeys(term[index:] for index in range(1, min(len(term), 12))))
    found.pop("", None)
    return list(found)


def name_query(text: str) -> list[tuple[str, ...]]:
    """The words of a people query, each with its other spellings, at most eight."""
    return [(fold(word), *spellings(word, fold(word), reduce=True)) for word in _name_words(text) if fold(word)][:8]


def _name_words(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        raw = match.group().lstrip("#\uff03@")
        yield from re.findall(rf"{_LETTER}+", raw) if match.lastgroup in ("tag", "handle") else [raw]


def folded_name(text: str) -> str:
    """A name as one folded string with single spaces, to compare beginnings."""
    return " ".join(fold(word) for word in _name_words(text))


def allowed_errors(word: str) -> int:
    """How many typing errors a word may have: none below 4 letters, two from 8."""
    return 0 if len(word) < 4 else 1 if len(word) < 8 else 2


class Highlighter:
    """Marks what a query matched in a text that is shown."""

    def __init__(self, clauses: Sequence[Clause], stem: Stem) -> None:
        """Excluded clauses mark nothing."""
        wanted = [clause for clause in clauses if not clause.excluded]
        self._terms = frozenset(term for clause in wanted for term in clause.terms)
        self._prefixes = tuple(clause.terms[0] for clause in wanted if clause.prefix)
        self._stem = stem

    def ranges(self, text: str, languages: Sequence[str]) -> list[tuple[int, int]]:
        """The ranges of a text that match, joined where they touch."""
        found: list[tuple[int, int]] = []
        if not self._terms:
            return found
        for token in tokens(text):
            if not self._matches(token, tuple(languages)):
                continue
            start, end = token.start, token.end
            if token.kind == "pair" and token.term not in self._terms and end - start == len(token.term):
                one = next(index for index, character in enumerate(token.term) if character in self._terms)
                start, end = start + one, start + one + 1
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end))
            else:
                found.append((start, end))
        return found

    def _matches(self, token: Token, languages: tuple[str, ...]) -> bool:
        if token.term in self._terms or (self._prefixes and token.term.startswith(self._prefixes)):
            return True
        return not self._terms.isdisjoint(_forms_of(token.raw, token.term, token.kind, languages, self._stem))

    def whole(self, text: str, languages: Sequence[str]) -> Fragment:
        """The whole text, marked."""
        return Fragment(text, tuple(self.ranges(text, languages)))

    def snippet(self, text: str, languages: Sequence[str]) -> Fragment:
        """About `SNIPPET_LENGTH` characters of a text around the place with most matches, or its beginning."""
        ranges = self.ranges(text[:SNIPPET_SCAN_LENGTH], languages)
        start = 0
        if ranges and ranges[-1][1] > SNIPPET_LENGTH:
            best = max(ranges, key=lambda r: (sum(r[0] <= s and e <= r[0] + SNIPPET_LENGTH - 60 for s, e in ranges[:200]), -r[0]))
            start = max(0, best[0] - 60)
            space = text.find(" ", start, best[0])
            start = space + 1 if start and space >= 0 else start
        end = min(len(text), start + SNIPPET_LENGTH)
        if end < len(text):
            space = text.rfind(" ", start + SNIPPET_LENGTH // 2, end)
            end = space if space > 0 else end
        before, after = "…" if start else "", "…" if end < len(text) else ""
        shift = len(before) - start
        shown = tuple((max(s, start) + shift, min(e, end) + shift) for s, e in ranges if s < end and e > start)
        return Fragment(before + text[start:end] + after, shown)


def typed_ranges(text: str, query: Sequence[tuple[str, ...]]) -> tuple[tuple[int, int], ...]:
    """The words of a name that a people query means, typing errors included."""
    found = []
    for match in re.finditer(rf"{_LETTER}+", text):
        term = fold(match.group())
        for options in query:
            at = min((len(option) for option in options if term.startswith(option) and len(term) >= len(option)), default=0)
            if at:
                found.append((match.start(), match.start() + at if len(term) == len(match.group()) else match.end()))
                break
            if any(option in term for option in options if not option.isascii()) or any(_near(option, term) for option in options):
                found.append(match.span())
                break
    return tuple(found)


def _near(typed: str, term: str) -> bool:
    errors = allowed_errors(typed)
    return errors > 0 and any(
        distance(typed, term[:length], errors) <= errors
        for length in range(max(1, len(typed) - errors), min(len(term), len(typed) + errors) + 1)
    )


def distance(left: str, right: str, most: int = sys.maxsize) -> int:
    """The typing errors between two words: a letter more, less or other, or two neighbours swapped; beyond `most` it is not exact."""
    if abs(len(left) - len(right)) > most:
        return abs(len(left) - len(right))
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
