"""Which passwords are taken."""

from __future__ import annotations

import pytest

from libs.eventstore.model import InvalidArgument
from services.identity import passwords

NAMES = ("Ada Abara", "", "ada.abara@example.com")


@pytest.mark.parametrize("password", ["seven quiet lamps", "käse und brot", "🌊🌊🌲🌲🌋🌋🗻🗻🏔🏔", "x1!y2?z3.w4", "a long one " * 18])
def test_it_takes(password: str) -> None:
    passwords.check(password, names=NAMES)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "10 to 200"), ("ninechars", "10 to 200"), ("x" * 201, "10 to 200"), ("Password123", "first that are guessed"),
        ("1234567890", "first that are guessed"), ("qwertyuiop", "first that are guessed"), ("aaaaaaaaaaaa", "first that are guessed"),
        ("abababababab", "first that are guessed"), ("my name is Abara", "name or e-mail"), ("ADA ABARA rules", "name or e-mail"),
        ("ada.abara@example.com", "name or e-mail"), ("watercooler", "first that are guessed"),
    ],
)
def test_it_refuses(password: str, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason) as caught:
        passwords.check(password, names=NAMES, field="new_password")
    assert caught.value.field == "new_password"


async def test_a_hash_is_argon2id_with_the_parameters_given() -> None:
    hasher = passwords.Passwords(memory_kib=8 << 10, passes=1, lanes=1)
    hashed = await hasher.hash("seven quiet lamps")
    assert hashed.startswith("$argon2id$v=19$m=8192,t=1,p=1$")
    assert await hasher.hash("seven quiet lamps") != hashed
    assert await hasher.verify(hashed, "seven quiet lamps")
    assert not await hasher.verify(hashed, "seven quiet lamp")
    assert not await hasher.verify("", "the password of nobody")
    assert not await hasher.verify("not a hash", "x")
    assert not hasher.outdated(hashed)
    other = passwords.Passwords(memory_kib=8 << 10, passes=2, lanes=1)
    assert other.outdated(hashed)
    assert await other.verify(hashed, "seven quiet lamps")
    hasher.close()
    other.close()
