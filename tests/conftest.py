"""Promises are asserted in modules that pytest does not collect: their failures, too, are to show what was found."""

import pytest

pytest.register_assert_rewrite(
    "tests.contract.preview_promises",
    "tests.contract.proxy_promises",
    "tests.contract.runner_promises",
    "tests.contract.share_promises",
    "tests.crash.killing",
)
