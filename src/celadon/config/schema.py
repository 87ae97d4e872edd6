"""The JSON Schema of celadon.toml, for editors."""

from typing import Any

from celadon.config.table import REQUIRED, SETTINGS


def render_schema() -> dict[str, Any]:
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "celadon.toml",
        **_new_table(),
    }
    for setting in SETTINGS:
        table = root
        for name in setting.path[:-1]:
            table = table["properties"].setdefault(name, {**_new_table()})
        table["properties"][setting.path[-1]] = {"description": setting.doc, **setting.kind.schema}
        if setting.default is REQUIRED:
            table.setdefault("required", []).append(setting.path[-1])
    root["required"] = [*root.get("required", []), "web", "proxy"]
    return root


def _new_table() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}
