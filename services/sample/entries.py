"""Reads entries from YAML: each field is taken once, and whatever is wrong names the file and the key."""
from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
C = TypeVar("C", bound=str)

_KEY = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


class Entry:
    """One mapping of a file; every field is taken once, and what is left over in the end is unknown."""

    def __init__(self, file: str, key: str, value: Any) -> None:
        self.file = file
        self.key = key
        if not isinstance(value, dict):
            raise self.wrong("must be a mapping")
        self._left = dict(value)

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{self.file}: {self.key}: {what}")

    def take(self, name: str, default: Any = ...) -> Any:
        if name not in self._left and default is ...:
            raise self.wrong(f"{name} is missing")
        return self._left.pop(name, default)

    def finish(self) -> None:
        if self._left:
            raise self.wrong(f"unknown field {', '.join(map(str, self._left))}")

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f"{name} must be a text that is not empty")
        return value

    def text_or_none(self, name: str) -> str | None:
        return self.text(name) if name in self._left else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.take(name, default=[])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(f"{name} must be a list of texts")
        distinct(self, name, value)
        return tuple(value)

    def text_map(self, name: str) -> Mapping[str, str]:
        value = self.take(name, default={})
        if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise self.wrong(f"{name} must map texts to texts")
        return dict(value)

    def number_or_none(self, name: str, largest: int) -> int | None:
        value = self.take(name, default=None)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
            raise self.wrong(f"{name} must be a whole number from 1 to {largest}")
        return value

    def date_or_none(self, name: str) -> date | None:
        value = self.take(name, default=None)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.wrong(f"{name} must be a date as 2019-04-01")
        return value


def entries_of(file: str, document: Any) -> list[Entry]:
    if not isinstance(document, list):
        raise ValueError(f"{file}: must be a list of entries")
    entries: list[Entry] = []
    for place, value in enumerate(document, start=1):
        entry = Entry(file, f"entry {place}", value)
        key = entry.text("key")
        if not _KEY.fullmatch(key):
            raise entry.wrong(f"key {key!r} must be lower-case letters, digits and single hyphens")
        entry.key = key
        entries.append(entry)
    return entries


def known_person(entry: Entry, key: str, people: Collection[str]) -> str:
    if key not in people:
        raise entry.wrong(f"unknown person {key!r}")
    return key


def known_people(entry: Entry, name: str, people: Collection[str]) -> tuple[str, ...]:
    return tuple(known_person(entry, key, people) for key in entry.texts(name))


def language_of(entry: Entry, value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise entry.wrong(f"{value!r} is not a language tag")
    return value


def choice(entry: Entry, name: str, value: str, choices: tuple[C, ...]) -> C:
    for choice in choices:
        if choice == value:
            return choice
    raise entry.wrong(f"unknown {name} {value!r}; one of {', '.join(choices)}")


def distinct(entry: Entry, name: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise entry.wrong(f"{value!r} stands twice in {name}")
        seen.add(value)


def add(known: dict[str, T], entry: Entry, value: T) -> None:
    if entry.key in known:
        raise entry.wrong("the key stands twice")
    known[entry.key] = value


def load_yaml(text: str) -> Any:
    """Safe YAML that refuses a mapping key written twice, which YAML itself would settle silently for the last."""
    load: Callable[..., Any] = yaml.load
    compose: Callable[..., yaml.Node | None] = yaml.compose
    # The C parser where the wheel has it: ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _refuse_repeated_keys(compose(text, Loader=loader))
    return load(text, Loader=loader)


def _refuse_repeated_keys(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
            _refuse_repeated_keys(value)
