"""The reference pages say what the code says."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_reference_pages_are_those_the_code_renders() -> None:
    """A page that differs was not regenerated: run `python docs/generate.py`."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages = module.render_pages()
    assert len(pages) == 6
    for name, text in pages.items():
        assert (DOCS / "reference" / name).read_text() == text, f"{name} is stale"
