"""A YAML text checked against a document's models: the document, or diagnostics that name line and column."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rules.diagnostics import Diagnostic, PolicyInvalidError
from rules.yaml_text import Path, Text, dotted

Document = TypeVar("Document", bound=BaseModel)


def validated(text: Text, model: type[Document]) -> Document:
    """Return the document of a text; raises PolicyInvalidError with all that is wrong."""
    try:
        # In JSON mode a list may become a tuple and nothing else is converted.
        return model.model_validate_json(json.dumps(text.data))
    except ValidationError as error:
        details = [detail for detail in error.errors() if not _follows(detail, error.errors())]
        raise PolicyInvalidError([_diagnostic(text, detail, model) for detail in details]) from error


def _follows(detail: Any, details: Sequence[Any]) -> bool:
    """Return whether a list is too short only because what is wrong inside it was left out."""
    path = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in details
    )


def _diagnostic(text: Text, detail: Any, model: type[BaseModel]) -> Diagnostic:
    # pydantic adds the branch of a union to the path; the text has no such key.
    path: Path = tuple(part for part in detail["loc"] if isinstance(part, int) or "[" not in part)
    line, column = text.place(path)
    kind = detail["type"]
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return Diagnostic("error", "unknown_key", dotted(path), line, column, _suggestion(path, model))
    code = {"missing": "missing_key"}.get(kind, "invalid_value")
    return Diagnostic("error", code, dotted(path), line, column, message)


def _suggestion(path: Path, model: type[BaseModel]) -> str:
    allowed = sorted(_allowed(path[:-1], model.model_json_schema(by_alias=True)))
    near = get_close_matches(str(path[-1]), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"there is no key {path[-1]!r} here{hint}" + (f" Allowed: {', '.join(allowed)}" if allowed else "")


def _allowed(path: Path, schema: dict[str, Any]) -> set[str]:
    """Return the keys that a schema knows at a path."""
    node: Any = schema
    for part in path:
        node = node.get("items", node) if isinstance(part, int) else _named(node, part)
        for choice in [node, *node.get("anyOf", [])]:
            if "$ref" in choice or "$ref" in choice.get("items", {}):
                reference = choice.get("$ref") or choice["items"]["$ref"]
                target = schema["$defs"][reference.rpartition("/")[2]]
                node = {"items": target} if "$ref" not in choice else target
    return set(node.get("properties", {}))


def _named(node: dict[str, Any], key: str) -> Any:
    """Return the schema of a key: its own, or the one of all keys of a mapping."""
    for_all = [*node.get("patternProperties", {}).values(), {}]
    return node.get("properties", {}).get(key, for_all[0])
