"""Passwords: which are good enough, and how they are hashed (argon2id, RFC 9106)."""
from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from libs.eventstore.model import InvalidArgument

from .profiles import fold

LEAST, MOST = 10, 200
# Each hash under way takes its memory, so few go on at a time; more wait their turn.
HASHES_AT_ONCE = 2

# What guessing starts with, of at least ten characters; shorter ones are refused for their length.
_OBVIOUS = frozenset({
    "1234567890", "0123456789", "12345678910", "123456789a", "1234512345", "1111111111", "0000000000", "0987654321", "9876543210",
    "password12", "password123", "password1234", "password1!", "passwordpassword", "passw0rd123", "p@ssw0rd123", "mypassword",
    "changeme123", "changemenow", "letmein123", "letmeinnow", "welcome123", "welcome1234", "welcome2024", "welcome2025", "welcome2026",
    "qwertyuiop", "qwerty1234", "qwerty12345", "qwertyuiop123", "1q2w3e4r5t", "1qaz2wsx3edc", "asdfghjkl1", "asdfghjkl;", "zxcvbnm123",
    "abcdefghij", "abcdefghijk", "abc1234567", "abcd123456", "iloveyou123", "iloveyou12", "administrator", "administrator1", "admin12345",
    "admin123456", "superadmin", "watercooler", "watercooler1", "correcthorsebatterystaple", "correct horse battery staple",
    "sunshine123", "football123", "baseball123", "princess123", "dragon12345", "monkey12345", "master12345", "trustno1trustno1",
    "startrek123", "starwars123", "superman123", "batman12345", "secret12345", "secretsecret", "test123456", "testtesttest", "guest12345",
    "default123", "temporary1", "temp123456", "company123", "summer2024", "summer2025", "summer2026", "winter2024", "winter2025",
    "winter2026",
})


def check(password: str, *, names: tuple[str, ...] = (), field: str = "password") -> None:
    """Refuse a password that guessing finds early; `names` are the person's own names and addresses.

    Raises:
        InvalidArgument: with the reason, for `field`.
    """
    if not LEAST <= len(password) <= MOST:
        raise InvalidArgument(f"a password has {LEAST} to {MOST} characters; a few unrelated words make a good one", field)
    if any(0xD800 <= ord(c) <= 0xDFFF for c in password):
        raise InvalidArgument("a password is text", field)
    folded = fold(password)
    if password.casefold() in _OBVIOUS or folded in _OBVIOUS or len(set(folded)) < 4:
        raise InvalidArgument("this password is among the first that are guessed: choose a few unrelated words instead", field)
    for name in names:
        for part in (fold(name), *fold(name.partition("@")[0]).replace(".", " ").replace("-", " ").split()):
            if len(part) >= 4 and part in folded:
                raise InvalidArgument("a password does not hold the person's name or e-mail address: choose unrelated words", field)


class Passwords:
    """Hashes and checks passwords beside the event loop."""

    def __init__(self, *, memory_kib: int, passes: int, lanes: int) -> None:
        """With argon2id's parameters; a hash made with others is still understood, and reported by `outdated`."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes, type=Type.ID)
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, "passwords")
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash of a password, in PHC string format."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether the password is the hash's. An empty hash takes as long as any other, and is nobody's."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, password_hash, password)

    def outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Wait for the hashes under way."""
        self._threads.shutdown()

    def _verify(self, password_hash: str, password: str) -> bool:
        if not password_hash and self._nobody is None:
            self._nobody = self._hasher.hash("the password of nobody")
        try:
            self._hasher.verify(password_hash or self._nobody or "", password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False
        return bool(password_hash)
