"""Asks other servers over HTTP, so that no link leads into the own network and no answer takes more time or room than it may.

Each name is resolved once and the connection goes to an address that was looked at, so that a name cannot change its mind in between.
Redirects are followed here, one by one, by the same rules.
"""
from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from .addresses import is_public

URL_CHARACTERS_MAX: Final = 2_048
USER_AGENT: Final = "Watercooler"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_BYTES_MAX: Final = 16_384
# What a server is not told a second time once it sends us elsewhere.
_KEPT_FROM_OTHERS: Final = frozenset({"authorization", "cookie"})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchRefused(Exception):
    """This address is not asked at all: it is malformed, or not public. The message is a sentence for people."""


class FetchFailed(Exception):
    """The server could not be asked or its answer could not be taken. The message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far one request may go."""

    seconds: float = 10.0
    """For everything: the name, the connection, redirects and the body."""
    bytes_max: int = 1 << 20
    """Of the body as it is after decompression."""
    redirects: int = 0
    """How many are followed; one more is a failure. With 0 the redirect itself is the answer."""
    cut: bool = False
    """Whether a longer body is cut off, rather than a failure."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. Header names are in lower case; of a header that comes twice the first one counts."""

    url: str
    """Where the answer came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    body: bytes
    was_cut: bool = False
    redirects: Sequence[str] = field(default=())
    """The addresses on the way, without the last."""

    @property
    def media_type(self) -> str:
        """The content type in lower case, without parameters; empty where the server names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


async def fetch(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None, limits: Limits = Limits(),
    allow_private: Collection[str] = (), resolve: Resolve | None = None,
) -> Fetched:
    """Send one request and take the whole answer, whatever its status.

    Args:
        allow_private: names or addresses of hosts that may be in the own network, in lower case.
        resolve: finds the addresses of a name; by default the system does.

    Raises:
        FetchRefused: the address is not asked.
        FetchFailed: there was no answer in time, or it was longer than it may be.
    """
    check_url(url, allow_private)
    for name, value in (headers or {}).items():
        if not _HEADER.fullmatch(name) or any(ord(each) < 32 or ord(each) == 127 for each in value):
            raise FetchRefused(f"The header {name[:60]!r} cannot be sent: it holds characters that headers do not have.")
    sent = {"user-agent": USER_AGENT, **{name.lower(): value for name, value in (headers or {}).items()}}
    try:
        async with asyncio.timeout(limits.seconds):
            return await _follow(url, method, sent, body, limits, allow_private, resolve or _system)
    except TimeoutError:
        raise FetchFailed(f"{_host(url)} did not answer within {limits.seconds:g} seconds.") from None


def check_url(url: str, allow_private: Collection[str] = ()) -> None:
    """Whether an address can be asked, as far as can be told without resolving its name.

    Raises:
        FetchRefused: it cannot, and the message says why.
    """
    if len(url) > URL_CHARACTERS_MAX:
        raise FetchRefused(f"The address is longer than {URL_CHARACTERS_MAX:,} characters.")
    if any(ord(each) <= 32 or ord(each) == 127 for each in url) or "\\" in url:
        raise FetchRefused("The address holds characters that addresses do not have.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        raise FetchRefused("This is not an address of the web: write it like https://example.com/path.") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise FetchRefused("This is not an address of the web: write it like https://example.com/path.")
    if parts.username is not None or parts.password is not None:
        raise FetchRefused("The address holds a user name or password: leave them out.")
    if host in allow_private:
        return
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        if not is_public(host):
            raise FetchRefused(_not_public(host))
    elif host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".home.arpa")) or "." not in host:
        raise FetchRefused(_not_public(host))


async def _follow(
    url: str, method: str, headers: dict[str, str], body: bytes | None, limits: Limits, allow_private: Collection[str], resolve: Resolve
) -> Fetched:
    passed: list[str] = []
    connector = aiohttp.TCPConnector(
        resolver=_Checked(resolve, allow_private), use_dns_cache=False, limit=1, force_close=True
    )
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("user-agent",), max_line_size=_HEADER_BYTES_MAX, max_field_size=_HEADER_BYTES_MAX,
    ) as session:
        while True:
            answer = await _ask(session, url, method, headers, body, limits)
            target = answer.headers.get("location", "")
            if not limits.redirects or answer.status not in _REDIRECTS or not target:
                return Fetched(url, answer.status, answer.headers, answer.body, answer.was_cut, tuple(passed))
            passed.append(url)
            if len(passed) > limits.redirects:
                raise FetchFailed(f"{_host(passed[0])} sends on more than {limits.redirects} times.")
            following = urljoin(url, target.strip().replace(" ", "%20"))
            check_url(following, allow_private)
            if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
                raise FetchRefused(f"{_host(url)} sends on to an address that is not encrypted.")
            if _origin(following) != _origin(url):
                headers = {name: value for name, value in headers.items() if name not in _KEPT_FROM_OTHERS}
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET" if method != "HEAD" else method, None
            url = following


async def _ask(
    session: aiohttp.ClientSession, url: str, method: str, headers: Mapping[str, str], body: bytes | None, limits: Limits
) -> Fetched:
    try:
        async with session.request(method, url, headers=headers, data=body, allow_redirects=False) as answer:
            told: dict[str, str] = {}
            for name, value in answer.headers.items():
                told.setdefault(name.lower(), value)
            taken = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                taken += chunk
                if len(taken) > limits.bytes_max:
                    if not limits.cut:
                        raise FetchFailed(f"{_host(url)} sends more than {limits.bytes_max:,} bytes.")
                    return Fetched(url, answer.status, told, bytes(taken[:limits.bytes_max]), was_cut=True)
            return Fetched(url, answer.status, told, bytes(taken))
    except aiohttp.ClientConnectorCertificateError:
        raise FetchFailed(f"{_host(url)} shows a certificate that is not valid for it.") from None
    except aiohttp.ClientConnectorDNSError:
        raise FetchFailed(f"There is no server named {_host(url)}.") from None
    except (aiohttp.ClientConnectorError, ConnectionError):
        raise FetchFailed(f"{_host(url)} cannot be reached.") from None
    except aiohttp.InvalidURL:
        raise FetchRefused("This is not an address of the web: write it like https://example.com/path.") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise FetchFailed(f"{_host(url)} did not answer in HTTP: {type(error).__name__}.") from error


class _Checked(AbstractResolver):
    """Resolves a name and hands on its addresses only where all of them may be asked."""

    def __init__(self, resolve: Resolve, allow_private: Collection[str]) -> None:
        self._resolve = resolve
        self._allow_private = allow_private

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        # A name with one public and one inner address is a trick more often than a mistake.
        if host.lower().rstrip(".") not in self._allow_private and not all(is_public(address) for address in addresses):
            raise FetchRefused(_not_public(host))
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET6 if ":" in address else socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _system(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _host(url: str) -> str:
    return urlsplit(url).hostname or "The server"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _not_public(host: str) -> str:
    return f"{host} is not a public address: only an administrator can let this server ask hosts of the own network."
