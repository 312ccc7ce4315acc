"""One company's first day: set up, import everybody, find each other, answer live; then the power goes, and nothing is lost."""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from libs.testing.world import shared_data
from tests.browser.network import CHROMIUM, ROOT, free_port, sign_in

MAPPINGS = ROOT / "tests" / "data-mappings"
CHROMIUM_PATH = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PASSWORD = "slow-boat-wide-river"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shared_data() is None, reason="the folder of real data is not beside this repository"),
    pytest.mark.skipif(not CHROMIUM_PATH.exists() and "CI" not in os.environ, reason="no chromium: install it to run the journey"),
]


class Company:
    """The network as an operator runs it: a process, a folder, a command line."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "var"
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.main", "--data", str(self.data), "run", "--port", str(self.port)],
            cwd=ROOT, stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode()
        assert self.address in said, f"the network ended: {said}"

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.communicate(timeout=30)

    def command(self, *words: str) -> list[dict[str, Any]]:
        """Run the command line beside the network; answers its JSON lines."""
        done = subprocess.run(
            [sys.executable, "-m", "services.main", "--data", str(self.data), "--json", *words],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def api(self, method: str, path: str, token: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())


def new_company(folder: Path) -> Company:
    """One process, or one process a service where TEST_NETWORK=cluster."""
    if os.environ.get("TEST_NETWORK") == "cluster":
        from tests.cluster.network import ClusterCompany

        return cast(Company, ClusterCompany(folder))
    return Company(folder)


def accept(page: Page, company: Company, token: str, person: dict[str, Any]) -> None:
    """Take an invitation: choose a password by the link an administrator hands over."""
    link = company.api("POST", f"/people/{person['id']}/invitation", token)
    page.goto(f"{company.address}/invitation/{link['secret']}")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Come in").click()
    page.wait_for_url(re.compile(re.escape(company.address) + r"/(company)?$"))


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Ask the network until it holds; what is being prepared (503) is asked for again."""
    until, told = time.monotonic() + seconds, ""
    while True:
        try:
            if holds():
                return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            told = error.read().decode("utf-8", "replace")
        assert time.monotonic() < until, f"after {seconds:.0f} s still waiting: {what} {told}"
        threading.Event().wait(0.5)


def window(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": 1280, "height": 900}).new_page()


def test_a_companys_first_day(tmp_path: Path) -> None:
    company = new_company(tmp_path)
    company.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM_PATH), args=CHROMIUM)
            _first_day(company, browser)
            browser.close()
    finally:
        company.stop()


def _first_day(company: Company, browser: Browser) -> None:
    founder = window(browser)
    founder.goto(company.address)
    expect(founder).to_have_url(f"{company.address}/setup")
    founder.get_by_label("Name of the organisation").fill("18F")
    founder.get_by_label("Your name").fill("Avery Operator")
    founder.get_by_label("Your e-mail address").fill("operator@example.com")
    founder.get_by_label("Password").fill(PASSWORD)
    founder.get_by_role("button", name="Start").click()
    expect(founder.get_by_role("heading", name="Home")).to_be_attached()

    shared = shared_data()
    assert shared is not None
    company.command("import", "all", str(shared / "data"), "--mapping", str(MAPPINGS / "18f.yaml"))
    added = company.command(
        "people", "add", "--name", "Rowan Robot", "--email", "robot@example.com", "--role", "administrator", "--token", "read,write,admin"
    )
    token = next(line["token"] for line in added if line.get("token"))
    found = company.api("GET", "/people?query=bland&page_size=5", token)["people"]
    author = next(person for person in found if person["display_name"] == "Mike Bland")
    reader = company.api("GET", "/people?query=feldman&page_size=5", token)["people"][0]
    assert reader["display_name"] == "Aidan Feldman"

    first, second = window(browser), window(browser)
    accept(first, company, token, reader)
    accept(second, company, token, author)

    # What was imported beside the running network is in its search index before anybody looks for it.
    wait_until(lambda: "Mike Bland" in str(company.api("GET", "/find/people?query=mike%20bland", token)), "Mike Bland can be found")

    # Aidan looks for Mike, mistypes, and reads what he wrote in 2014.
    box = first.get_by_role("combobox", name=re.compile("search", re.IGNORECASE)).first
    box.press_sequentially("mkie blnad", delay=20)
    first.get_by_role("option", name=re.compile("Mike Bland")).first.click()
    expect(first.get_by_role("heading", name="Mike Bland")).to_be_visible()
    post = first.locator("article.post", has_text="Large Scale Development Culture Change").first
    expect(post).to_be_visible()
    expect(post.locator("time").first).to_have_attribute("datetime", re.compile("^2014-12"))
    post_id = post.get_attribute("data-post")
    assert post_id

    # Mike has the thread open in another browser; the reply comes to him without a reload.
    second.goto(f"{company.address}/posts/{post_id}")
    expect(second.get_by_text("Hello from the other side of the hall")).to_have_count(0)
    second.evaluate("window.stillTheSamePage = true")
    first.goto(f"{company.address}/posts/{post_id}")
    first.get_by_label("Write a reply").fill("Hello from the other side of the hall")
    first.get_by_role("button", name="Reply", exact=True).last.click()
    expect(first.locator("article.post", has_text="Hello from the other side of the hall")).to_be_visible()
    fresh = second.get_by_text("Hello from the other side of the hall")
    pill = second.locator("[data-fresh-for] a")
    expect(fresh.or_(pill).first).to_be_visible(timeout=5_000)
    if fresh.count() == 0:
        pill.first.click()
    expect(fresh.first).to_be_visible()
    assert second.evaluate("window.stillTheSamePage") is True

    # The power goes.
    company.kill()
    company.start()
    assert company.command("verify")[-1]["findings"] == 0
    third = window(browser)
    sign_in(third, company.address, reader["email"], PASSWORD)
    third.goto(f"{company.address}/posts/{post_id}")
    expect(third.get_by_text("Hello from the other side of the hall")).to_be_visible()
