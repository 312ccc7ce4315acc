"""What the tests of imports share."""

from pathlib import Path

import pytest

from libs.testing.world import shared_data


@pytest.fixture
def data() -> Path:
    """The real organisations beside the repository."""
    folder = shared_data()
    if folder is None:
        pytest.skip("the real data (WATERCOOLER_SHARED, or ../shared) is not on this machine")
    return folder / "data"
