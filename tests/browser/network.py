"""A real network for browser tests and screenshots: started as people start it, in a folder and on a port of its own."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "services" / "gateway" / "assets"
AXE = ASSETS / "node_modules" / "axe-core" / "axe.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
START_SECONDS = 60
PASSWORD = "wide-river-slow-boat"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Network:
    """A running network, and the shortest ways to put people and posts into it."""

    def __init__(self, folder: Path, *, sample: bool = False) -> None:
        """Start it in a folder; stop it by `stop`."""
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "services.main", "--data", str(folder / "var"), "run", "--port", str(self.port)]
        environment = {
            **os.environ, "WATERCOOLER_RATE_WRITES_PER_MINUTE": "100000", "WATERCOOLER_RATE_READS_PER_MINUTE": "100000",
            "WATERCOOLER_RATE_SIGN_INS_PER_MINUTE": "1000", "WATERCOOLER_PASSWORD_HASH_BYTES": "8MiB",
            "WATERCOOLER_PASSWORD_HASH_PASSES": "1",
        }
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            command + (["--sample"] if sample else []), cwd=ROOT, env=environment, stdout=self._log, stderr=self._log
        )
        self._wait(START_SECONDS * (4 if sample else 1))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"the network ended: {self.log()}")
            try:
                with urllib.request.urlopen(f"{self.address}/healthz", timeout=2):
                    return
            except OSError:
                if time.monotonic() > until:
                    raise RuntimeError(f"the network does not answer: {self.log()}") from None
                pause.wait(0.05)  # between two looks at a process that is starting

    def log(self) -> str:
        """What the process said."""
        return (self.folder / "log").read_text("utf-8", "replace")[-4000:]

    def stop(self) -> None:
        """End the process and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def api(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """Call the REST API in somebody's name."""
        request = urllib.request.Request(
            f"{self.address}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def credentials(self, role: str) -> dict[str, str]:
        """How one of the sample's people signs in, the first with the role."""
        known: list[dict[str, str]] = json.loads((self.folder / "var" / "sample-credentials.json").read_text("utf-8"))
        return next(each for each in known if each["role"] == role)


def start_network(folder: Path, *, sample: bool = False) -> Network:
    """A running network: one process, or one process a service where TEST_NETWORK=cluster."""
    if os.environ.get("TEST_NETWORK") == "cluster":
        from tests.cluster.network import ClusterNetwork

        if sample:
            raise ValueError("the sample organisation is loaded by `watercooler run` only")
        return ClusterNetwork(folder)
    return Network(folder, sample=sample)


def sign_in(page: Page, address: str, email: str, password: str = PASSWORD) -> None:
    """Sign in through the page, and land at home."""
    page.goto(f"{address}/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(re.escape(address) + r"/(company)?$"))


def watch(context: BrowserContext, seen: list[str]) -> None:
    """Gather what the browser complains of: broken policies, script errors, missing files."""

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: seen.append(f"{page.url}: {error}"))
        page.on("console", lambda message: seen.append(f"{page.url}: {message.text}") if message.type == "error" else None)

    context.on("page", listen)


def findings(page: Page, only: tuple[str, ...] = ()) -> list[str]:
    """What axe finds on the page shown, a line each; by the named rules only, where some are named."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    rules = {"type": "rule", "values": list(only)} if only else {"type": "tag", "values": AXE_TAGS}
    result = page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules)
    return [
        f"{found['id']}: {node['target']} {node['failureSummary'][:300]}" for found in result["violations"] for node in found["nodes"]
    ]


def overflow(page: Page) -> list[str]:
    """What reaches past the right edge of the window and makes the page scroll sideways."""
    found: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
            [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""
    )
    return found


class Administrator:
    """The first administrator of an empty network, who adds people in the shortest way."""

    def __init__(self, network: Network, organization: str = "Northwind Optics") -> None:
        """Set the network up, and take an access token."""
        self.network = network
        self.email = "ada.winter@example.com"
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

        def call(path: str, body: Any, **headers: str) -> Any:
            request = urllib.request.Request(
                f"{network.address}/api/v1{path}", method="POST", data=json.dumps(body).encode(),
                headers={"content-type": "application/json", **headers},
            )
            with opener.open(request, timeout=20) as answer:
                return json.loads(answer.read())

        person = {"name": organization, "person_name": "Ada Winter", "email": self.email, "password": PASSWORD}
        self.id = str(call("/organization", person)["administrator"]["id"])
        signed_in = call("/sessions", {"email": self.email, "password": PASSWORD})
        made = call(
            "/access-tokens", {"name": "tests", "scopes": ["read", "write", "admin"]}, **{"X-CSRF-Token": signed_in["csrf_token"]}
        )
        self.token = str(made["secret"])

    def add(self, name: str, **fields: Any) -> tuple[str, str]:
        """Add a person; answers id and e-mail address. The password is PASSWORD."""
        email = name.lower().replace(" ", ".").replace("é", "e") + "@example.com"
        made = self.network.api("POST", "/people", self.token, {"name": name, "email": email, "password": PASSWORD, **fields})
        return str(made["id"]), email

    def post(self, body: str, **fields: Any) -> str:
        """Publish a post; answers its id."""
        return str(self.network.api("POST", "/posts", self.token, {"body": body, **fields})["id"])
