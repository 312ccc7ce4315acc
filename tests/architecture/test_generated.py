"""What is made from the protos is what is committed, and the protos keep the rules of buf."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUF = ROOT / "services/gateway/assets/node_modules/.bin/buf"


def run(*arguments: str | Path, folder: Path = ROOT) -> tuple[int, str]:
    done = subprocess.run([str(argument) for argument in arguments], cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


def check_generated(protos: Path) -> tuple[int, str]:
    return run(sys.executable, ROOT / "scripts/protos.py", "--check", "--protos", protos)


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    """A copy of the protos, to spoil."""
    return shutil.copytree(ROOT / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("__pycache__"))


def test_the_generated_code_is_current() -> None:
    assert check_generated(ROOT / "protos") == (0, "")


def test_a_proto_changed_without_its_code_is_noticed(protos: Path) -> None:
    proto = protos / "watercooler/common/v1/audience.proto"
    with proto.open("a", encoding="utf-8") as file:
        file.write("message Planted { string planted_id = 1; }\n")
    status, report = check_generated(protos)
    assert status == 1
    assert "differs: watercooler/common/v1/audience_pb2.py\n" in report
    assert "make protos" in report


def test_code_whose_proto_is_gone_is_noticed(protos: Path) -> None:
    (protos / "watercooler/common/v1/gone_pb2.py").write_text("", encoding="utf-8")
    assert check_generated(protos)[0] == 1


def buf(protos: Path, *arguments: str) -> tuple[int, str]:
    if not BUF.exists():
        reason = "buf is not installed: run `make dev`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return run(BUF, *arguments, folder=protos)


def test_the_protos_keep_the_rules() -> None:
    assert buf(ROOT / "protos", "lint") == (0, "")


def test_buf_notices_a_name_against_the_rules(protos: Path) -> None:
    with (protos / "watercooler/common/v1/audience.proto").open("a", encoding="utf-8") as file:
        file.write("message Planted { string plantedId = 1; }\n")
    status, report = buf(protos, "lint")
    assert status != 0
    assert "plantedId" in report


def test_buf_notices_a_change_that_breaks_readers(protos: Path) -> None:
    proto = protos / "watercooler/common/v1/audience.proto"
    text = proto.read_text(encoding="utf-8")
    against = f"--against={ROOT / 'protos'}"
    assert buf(protos, "breaking", against) == (0, "")
    field = re.search(r"^ +string (\w+) = (\d+);", text, re.MULTILINE)
    assert field
    proto.write_text(text.replace(field[0].strip(), f"int64 {field[1]} = {field[2]};"), encoding="utf-8")
    status, report = buf(protos, "breaking", against)
    assert status != 0
    assert f'"{field[1]}"' in report
