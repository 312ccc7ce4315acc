"""These tests look at what helm renders; `make helm-check` builds the tools they need and runs them."""
from __future__ import annotations

import pytest

from tests.deploy.chart import HELM


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without helm nothing can be looked at."""
    if not HELM.exists():
        for item in items:
            if "tests/deploy" in str(item.path) and getattr(getattr(item, "module", None), "NEEDS_HELM", True):
                item.add_marker(pytest.mark.skip(reason="helm is not built here: run `make helm-check`"))
