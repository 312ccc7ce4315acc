"""A running network that clients of Mastodon's API reach as they reach any server: over a port, by its address."""
from __future__ import annotations

import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from tests.browser.network import PASSWORD, Administrator, Network

SCOPES = ["read", "write", "follow", "push"]


@dataclass(frozen=True)
class Server:
    """The network, who administers it, and two people who use it."""

    network: Network
    administrator: Administrator
    ben: tuple[str, str]
    carla: tuple[str, str]

    @property
    def address(self) -> str:
        """Where it is."""
        return self.network.address

    def token(self, person: tuple[str, str]) -> str:
        """An access token of a person."""
        made = self.network.api(
            "POST", "/access-tokens", self.administrator.token, {"name": "tests", "scopes": ["read", "write"], "person_id": person[0]}
        )
        return str(made["secret"])

    def community(self, name: str, kind: str = "open") -> dict[str, Any]:
        """A community of the administrator's."""
        made: dict[str, Any] = self.network.api("POST", "/communities", self.administrator.token, {"name": name, "kind": kind})
        return made

    def authorize(self, url: str, email: str) -> str:
        """Sign in as a person with a browser, allow what the page at `url` asks for, and read the code it shows."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

        def submit(page: str, action: str, fields: dict[str, str], **choice: str) -> str:
            form = next(each for each in re.findall(r"<form.*?</form>", page, re.DOTALL) if action in each.partition(">")[0])
            values = {
                found[1]: _unescaped(found[2])
                for found in re.finditer(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form)
            }
            body = urllib.parse.urlencode({**values, **fields, **choice}).encode()
            target = re.search(r'action="([^"]*)"', form)
            assert target is not None
            with opener.open(urllib.parse.urljoin(self.address, _unescaped(target[1])), body, timeout=20) as answer:
                return str(answer.read().decode())

        with opener.open(url, timeout=20) as answer:
            page = answer.read().decode()
        consent = submit(page, "/sign-in", {"email": email, "password": PASSWORD})
        shown = submit(consent, "/oauth/authorize", {}, decision="allow")
        code = re.search(r'id="oauth-code"[^>]*value="([^"]+)"', shown)
        assert code is not None, shown
        return code[1]


def _unescaped(text: str) -> str:
    return text.replace("&quot;", '"').replace("&#34;", '"').replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace(
        "&amp;", "&"
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A network in a process of its own, in which apps may sign people in by password."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATERCOOLER_OAUTH_PASSWORD_GRANT", "true")
        network = Network(tmp_path_factory.mktemp("clients"))
    try:
        administrator = Administrator(network)
        yield Server(network, administrator, administrator.add("Ben Ito", title="Engineer"), administrator.add("Carla Duarte"))
    finally:
        network.stop()


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "boat.png"
    Image.new("RGB", (64, 48), (20, 90, 160)).save(path)
    return path


@pytest.fixture
def until() -> Callable[..., Any]:
    """Ask until what is asked for is there; half a minute at most."""
    import threading
    import time

    def ask(question: Callable[[], Any], seconds: float = 45) -> Any:
        ends = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            found = question()
            if found:
                return found
            assert time.monotonic() < ends, f"never came: {question}"
            pause.wait(0.05)

    return ask
