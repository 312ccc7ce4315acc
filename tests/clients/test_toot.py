"""toot, unchanged, on its command line against a running network, as a person uses it in a terminal."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.network import PASSWORD
from tests.clients.conftest import Server

TOOT = shutil.which("toot", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(TOOT is None, reason="toot is not installed beside Python: see requirements/dev.in"),
]


@pytest.fixture
def toot(tmp_path: Path) -> Callable[..., str]:
    """Run toot with a configuration of its own; answers what it prints."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}

    def run(*words: str, said: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            [str(TOOT), "--no-color", *words], input=said, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert (done.returncode != 0) == fails, f"toot {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run


def test_a_day_in_a_terminal(server: Server, toot: Callable[..., str], picture: Path, until: Callable[..., Any]) -> None:
    said = toot("login_cli", "-i", server.address, "-e", server.ben[1], said=f"{PASSWORD}\n")
    assert "logged in" in said.lower()
    assert "ben.ito" in toot("whoami")
    assert "Northwind Optics" in toot("instance", server.address)
    assert "carla.duarte" in toot("whois", "carla.duarte")

    assert "posted" in toot("post", "Good morning #terminal").lower()
    carla = server.token(server.carla)
    post_id = server.network.api("POST", "/posts", carla, {"body": "From Carla, with @ben.ito"})["id"]
    assert "follow" in toot("follow", "carla.duarte").lower()
    assert "From Carla" in toot("timeline", "--once")
    assert "From Carla" in toot("timeline", "--once", "--public", "--local", "--count", "20")

    for command in ("favourite", "unfavourite", "reblog", "bookmark"):
        toot(command, post_id)
    assert "From Carla" in toot("bookmarks") and "ben.ito" in toot("reblogged_by", post_id)
    toot("unreblog", post_id)
    toot("post", "Thanks", "--reply-to", post_id)
    assert "Thanks" in toot("thread", post_id)
    assert "mention" in toot("notifications").lower()

    toot("post", "With a picture", "--media", str(picture), "--description", "A boat")
    toot("post", "Which?", "--poll-option", "This", "--poll-option", "That", "--poll-expires-in", "1h")
    shown = toot("timeline", "--once", "--account", "ben.ito")
    assert "This" in shown and "With a picture" in shown

    toot("tags", "follow", "terminal")
    assert "terminal" in toot("tags", "followed")
    toot("lists", "create", "Harbour")
    toot("lists", "add", "Harbour", "carla.duarte")
    assert "carla.duarte" in toot("lists", "accounts", "Harbour")

    until(lambda: "carla.duarte" in toot("search", "carla"))
    toot("update_account", "--display-name", "Ben I.", "--note", "In a terminal")
    assert "In a terminal" in toot("whoami")
    toot("mute", "carla.duarte")
    assert "carla.duarte" in toot("muted")
    toot("unmute", "carla.duarte")  # other clients read her after this one
    assert "logged out" in toot("logout", f"ben.ito@localhost:{server.network.port}").lower()


def test_a_wrong_password_is_told(server: Server, toot: Callable[..., str]) -> None:
    said = toot("login_cli", "-i", server.address, "-e", server.ben[1], said="not this one\n", fails=True)
    assert "logged in" not in said.lower()


def test_the_browser_way(server: Server, toot: Callable[..., str], tmp_path: Path) -> None:
    """toot prints the address to open and asks for the code that is shown there."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [str(TOOT), "--no-color", "login", "-i", server.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment, text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        said, url = "", ""
        process.stdin.write("n\n")
        process.stdin.flush()
        while not url:
            line = process.stdout.readline()
            assert line, f"toot ended: {said}"
            said += line
            url = next((word for word in line.split() if "/oauth/authorize" in word), "")
        code = server.authorize(url, server.carla[1])
        rest, _ = process.communicate(f"{code}\n", timeout=180)
        assert process.returncode == 0, said + rest
        assert "logged in" in rest.lower()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
