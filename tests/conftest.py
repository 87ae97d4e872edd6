"""Promises are asserted in modules that pytest does not collect: their failures, too, are to show what was found."""

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
)

# A slow machine is no counterexample; pytest-timeout bounds a test that hangs.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin first: two workers then end at about the same time."""
    items.sort(key=lambda item: "crash" not in item.path.parts)
