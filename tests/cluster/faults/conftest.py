"""One stage for all faults; every test begins with everything at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.engines.shared import Engines
from tests.cluster.faults.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, engines: Engines) -> Iterator[Stage]:
    """One stage for all faults."""
    made = Stage(tmp_path_factory.mktemp("faults"), engines.s3())
    yield made
    made.close()


@pytest.fixture(autouse=True)
def healed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test begins with all processes at work; what the cluster said is in the report of one that fails."""
    if "stage" not in request.fixturenames:
        yield
        return
    stage: Stage = request.getfixturevalue("stage")
    stage.heal()
    yield
    print(stage.cluster.log(3000))  # shown for a test that fails
