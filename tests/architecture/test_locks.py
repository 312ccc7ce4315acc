"""The locks pin every package by hash and leave it to the machine where packages come from."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = r"(pypi|npmjs|pythonhosted|crates|debian|maven|golang)\.(org|com|io)"
REGISTRY = re.compile(rf"{HOSTS}|--(extra-)?index-url|--find-links", re.IGNORECASE)
NPM_LOCK = ROOT / "services/gateway/assets/package-lock.json"


def places() -> list[Path]:
    web = "services/gateway/assets"
    patterns = ["requirements/*", f"{web}/package*.json", f"{web}/.npmrc", "*.toml", "Makefile", "scripts/*", ".ci/*", "deploy/**/*"]
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern)) if path.is_file()]


def test_no_lock_or_build_file_names_a_registry() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in places()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if REGISTRY.search(line.replace("--no-emit-index-url", "").replace("--no-emit-find-links", ""))
    ]
    assert named == []
    assert NPM_LOCK in places()


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_requirement_has_one_version_and_its_hashes(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert requirements
    unpinned = [line for line in requirements if not re.match(r"[a-z0-9._-]+==\S+( ;.*)? +--hash=sha256:[0-9a-f]{64}", line)]
    assert unpinned == []


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_what_is_asked_for_is_locked(name: str) -> None:
    locked = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    for line in (ROOT / f"requirements/{name}.in").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "-")):
            package = re.split(r"[\[<>=~ ]", line)[0]
            assert re.search(rf"^{re.escape(package)}==", locked, re.MULTILINE), f"{package} is not locked; run `make lock`"


def test_npm_packages_are_pinned_by_hash_and_not_by_address() -> None:
    lock = json.loads(NPM_LOCK.read_text(encoding="utf-8"))
    asked = json.loads((NPM_LOCK.parent / "package.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["dependencies"] == asked["dependencies"]
    assert lock["packages"][""]["devDependencies"] == asked["devDependencies"]
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_npm_lock_holds_the_programs_of_every_platform() -> None:
    # A registry that lacked one of them while locking leaves a lock with which `npm ci` refuses to work anywhere.
    packages = json.loads(NPM_LOCK.read_text(encoding="utf-8"))["packages"]
    for name, package in packages.items():
        for program, version in package.get("optionalDependencies", {}).items():
            assert packages.get(f"node_modules/{program}", {}).get("version") == version, f"{name} needs {program}"
