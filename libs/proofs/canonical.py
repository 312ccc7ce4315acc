"""One way to write a JSON value, so that its hash means the value and nothing else.

This is JSON Canonicalization (RFC 8785) for values of objects, lists, strings, integers, booleans and null. Numbers with a fraction or
of 2^53 and more are refused, which spares that part of the RFC that has to do with how numbers are printed; keys are ASCII, so that
their order by code points is the RFC's by UTF-16 code units.
"""
from __future__ import annotations

import json
from typing import Any

INTEGER_MAX = (1 << 53) - 1


def canonical(value: Any) -> bytes:
    """The bytes of a value; raises ValueError for what has no canonical form here."""
    _check(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()


def _check(value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise ValueError(f"the number {value} is too large")
    elif isinstance(value, str):
        value.encode()  # half of a surrogate pair is no text
    elif isinstance(value, list | tuple):
        for each in value:
            _check(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError(f"the key {key!r} is not ASCII text")
            _check(each)
    else:
        raise ValueError(f"a value of type {type(value).__name__} cannot be written")
