"""Promises are asserted in modules that pytest does not collect: their failures, too, are to show what was found."""

from pathlib import Path

import pytest
from hypothesis import settings

pytest.register_assert_rewrite(
    "tests.contract.container_promises",
    "tests.contract.image_promises",
    "tests.contract.preview_promises",
    "tests.contract.proxy_promises",
    "tests.contract.runner_promises",
    "tests.contract.share_promises",
    "tests.crash.killing",
    "tests.e2e.site",
)

# A slow machine is no counterexample; pytest-timeout bounds a test that hangs.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


_LONGEST_FIRST = ("crash", "e2e", "contract", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin first: two workers then end at about the same time. `./run test` says
    --no-loadscope-reorder, or xdist would begin with those that have most tests."""
    root = Path(__file__).parent
    items.sort(key=lambda item: _LONGEST_FIRST.index(item.path.relative_to(root).parts[0]))
