"""The consumer kit: built as a package of its own, it stands alone and tells what the protos tell."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import google
import pytest

from watercooler import kit
from watercooler.feed.v1 import announcement_events_pb2 as announcements
from watercooler.feed.v1 import events_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"

# What somebody who has only the kit and protobuf can do.
ALONE = """
import sys
from watercooler import kit
from watercooler.feed.v1 import events_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity
event = kit.parse("watercooler.feed.v1.PostPublished", feed.PostPublished(post_id="1", author_id="2", body="Hello").SerializeToString())
assert event.body == "Hello" and kit.subject(event) == "2"
assert kit.erases(identity.PersonErased)
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"libs", "services", "grpc", "setuptools"}, sorted(loaded)
assert kit.__file__.startswith(sys.argv[1]), kit.__file__
print("stands alone")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit, built from a copy, so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("kit")
    shutil.copytree(PROTOS, folder / "protos", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*command, "--no-index", "--wheel-dir", str(folder), str(folder / "protos")],
        capture_output=True, text=True, timeout=110, check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("watercooler_events-*.whl")
    return found


def test_the_wheel_holds_the_protos_their_code_and_types_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    held = {name for name in names if ".dist-info/" not in name}
    wanted = {
        path.relative_to(PROTOS).as_posix() for path in (PROTOS / "watercooler").rglob("*")
        if path.is_file() and path.suffix in (".py", ".pyi", ".proto", ".typed")
    }
    assert held == wanted
    assert any(name.endswith("LICENSE") for name in names)


def test_it_stands_alone(wheel: Path, tmp_path: Path) -> None:
    site, dependencies = tmp_path / "site", tmp_path / "dependencies"
    with zipfile.ZipFile(wheel) as archive:  # a pure wheel is installed by unpacking it
        archive.extractall(site)
    dependencies.mkdir()
    [google_folder] = [Path(path) for path in google.__path__ if (Path(path) / "protobuf").is_dir()]
    (dependencies / "google").symlink_to(google_folder)
    done = subprocess.run(
        [sys.executable, "-S", "-c", ALONE, str(site)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONHOME"}, "PYTHONPATH": f"{site}:{dependencies}"},
    )
    assert done.stdout.strip() == "stands alone", done.stderr


def test_its_version_and_dependency_fit() -> None:
    own = tomllib.loads((PROTOS / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert own["version"] == whole["version"]
    generated = (PROTOS / "watercooler/feed/v1/events_pb2.py").read_text(encoding="utf-8")
    version = re.search(r"^# Protobuf Python Version: (\S+)$", generated, re.MULTILINE)
    assert version is not None
    assert own["dependencies"] == [f"protobuf>={version[1]},<{int(version[1].partition('.')[0]) + 2}"]


def test_types_are_found_by_name() -> None:
    assert kit.message_type("watercooler.feed.v1.PostDeleted") is feed.PostDeleted
    assert kit.message_type("watercooler.identity.v1.PersonErased") is identity.PersonErased
    assert kit.message_type("watercooler.feed.v1.AnnouncementPublished") is announcements.AnnouncementPublished
    for name in (
        "watercooler.feed.v1.NeverSeen", "watercooler.nothing.v1.PostPublished", "os.system", "watercooler.feed.v1.DESCRIPTOR.x", "",
        "watercooler.feed.v1.feed_service_pb2", "watercooler.feed.v1.MemberRole", "watercooler.feed.v1.DESCRIPTOR",
    ):
        with pytest.raises(KeyError):
            kit.message_type(name)


def test_what_is_personal_is_told() -> None:
    assert kit.personal_fields(identity.PersonAdded) == ("profile",)
    assert kit.personal_fields(feed.ReactionAdded) == ()
    assert kit.subject(feed.AuthorErased(person_id="7")) == "7"
    assert kit.subject(feed.PostDeleted(post_id="1", author_id="2")) == ""
    assert [kit.erases(kind) for kind in (feed.AuthorErased, feed.PostDeleted)] == [True, False]


def test_the_example_of_its_readme_runs() -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", (PROTOS / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(code, "README.md", "exec"), {})
