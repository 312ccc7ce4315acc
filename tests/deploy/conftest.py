"""These tests look at what helm renders; `make helm-check` builds the tools they need and runs them."""
from __future__ import annotations

import pytest

from tests.deploy.chart import HELM


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each starts processes, which take their time on a busy machine. Without helm most have nothing to look at."""
    for item in items:
        if "tests/deploy" in str(item.path):
            item.add_marker(pytest.mark.timeout(600))
    if not HELM.exists():
        for item in items:
            if "tests/deploy" in str(item.path) and getattr(getattr(item, "module", None), "NEEDS_HELM", True):
                item.add_marker(pytest.mark.skip(reason="helm is not built here: run `make helm-check`"))
