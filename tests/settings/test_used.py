"""A setting that is documented has an effect: each is read somewhere outside the module that declares it."""
from __future__ import annotations

from pathlib import Path

import pytest

from libs.runtime.settings import describe

ROOT = Path(__file__).resolve().parents[2]
SOURCES = "\n".join(
    path.read_text("utf-8") for folder in ("libs", "services") for path in sorted((ROOT / folder).rglob("*.py"))
    if path != ROOT / "libs" / "runtime" / "settings.py"
)
# Read through something that the settings module itself offers.
THROUGH = {"secret_key": "signing_key(", "public_url": "settings.address", "service_addresses": "service_address("}


@pytest.mark.parametrize("name", [row[0] for row in describe()])
def test_each_setting_is_read(name: str) -> None:
    assert f"settings.{name}" in SOURCES or THROUGH.get(name, "\0") in SOURCES
