"""The import contracts of pyproject.toml hold, and each of them notices what it is there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INDEPENDENT = "services do not import each other; only services.main, which starts them, knows them all"
LIBS = "libs know no service"
PURE = "decisions do no I/O and ask no clock, ids or randomness"
LAYERS = "a service reads from top to bottom: service, api, reactors, projections and queries, deciders, commands"
VENDORS = "each vendor library is known to its one adapter only"


def lint_imports(tree: Path) -> tuple[int, str]:
    """The exit status and the report of import-linter over `tree`, with line breaks taken out."""
    # -S keeps the editable installation of this very project out of the search path, so that only `tree` is read.
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    code = "import sys; sys.path.append(sys.argv.pop(1)); from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, packages, "--no-cache", "--no-logo", "--config", "pyproject.toml"],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_the_contracts_are_kept() -> None:
    status, report = lint_imports(ROOT)
    assert status == 0, report
    assert "0 broken" in report


def test_no_module_escapes_the_contracts() -> None:
    # import-linter passes over a folder without __init__.py when the folder above it has one.
    folders = {path.parent for root in ("libs", "services") for path in (ROOT / root).rglob("*.py") if "node_modules" not in path.parts}
    assert sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()) == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources once more, to plant violations in."""
    tree = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for name in ("libs", "services"):
        for source in (ROOT / name).rglob("*.py"):
            if "node_modules" not in source.parts:
                target = tree / source.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    return tree


PLANTED = {
    "a neighbour": (INDEPENDENT, {"services/planted/api.py": "from services.other import thing\n", "services/other/thing.py": ""}),
    "a library that knows a service": (LIBS, {"libs/text/planted.py": "import services.planted.api\n", "services/planted/api.py": ""}),
    "the clock": (PURE, {"services/planted/deciders/thing.py": "import time\n"}),
    "ids": (PURE, {"services/planted/deciders/thing.py": "from uuid import uuid4\n"}),
    "the database": (PURE, {"services/planted/commands.py": "from libs.db.database import Database\n"}),
    "a decider that asks": (LAYERS, {"services/planted/deciders/thing.py": "from .. import queries\n", "services/planted/queries.py": ""}),
    "a query that calls the api": (LAYERS, {"services/planted/queries.py": "from . import api\n", "services/planted/api.py": ""}),
    "sqlite": (VENDORS, {"services/planted/queries.py": "import sqlite3\n"}),
    "obstore": (VENDORS, {"libs/blobs/planted.py": "from obstore.store import LocalStore\n"}),
    "cryptography": (VENDORS, {"libs/rpc/planted.py": "from cryptography.fernet import Fernet\n"}),
    "litestar": (VENDORS, {"services/planted/api.py": "import litestar\n"}),
}


@pytest.mark.parametrize(("contract", "planted"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_breaks_its_contract(copy: Path, contract: str, planted: dict[str, str]) -> None:
    files = dict(planted)
    for folder in {folder for name in planted for folder in Path(name).parents if folder.name}:
        if not (copy / folder / "__init__.py").exists():
            files[f"{folder}/__init__.py"] = ""
    for name, text in files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    try:
        status, report = lint_imports(copy)
    finally:
        for name in files:
            (copy / name).unlink()
    assert status == 1, report
    assert f"{contract} BROKEN" in report
    assert any(name.removesuffix(".py").replace("/", ".") in report.partition("Broken contracts")[2] for name in planted)
