"""A policy's text, read and checked: into a document, or into diagnostics that name line and column."""

import hashlib
import json
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from rules.checker import findings
from rules.diagnostics import Diagnostic, PolicyInvalidError
from rules.document import PolicyDocument
from rules.yaml_text import Path, Text, dotted, read_yaml

SCHEMA_ID = "https://keepwell.dev/schemas/policy-v1.json"

__all__ = ["PolicyInvalidError", "check_policy", "content_hash", "json_schema", "read_policy"]


def read_policy(source: str) -> PolicyDocument:
    """Return the document of a policy's text; warnings do not matter here.

    Raises:
        PolicyInvalidError: It has errors.

    """
    text = read_yaml(source)
    document = _validated(text)
    errors = [found for found in findings(document, text) if found.severity == "error"]
    if errors:
        raise PolicyInvalidError(errors)
    return document


def check_policy(source: str) -> list[Diagnostic]:
    """Return everything that is wrong or doubtful about a policy's text, in the order of its lines."""
    try:
        text = read_yaml(source)
        found = findings(_validated(text), text)
    except PolicyInvalidError as error:
        found = error.diagnostics
    return sorted(found, key=lambda diagnostic: (diagnostic.line, diagnostic.column))


def content_hash(document: PolicyDocument) -> str:
    """Return the version of a policy: the hash of what it says, whatever its layout and comments."""
    canonical = json.dumps(document.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy, from the models that validate it."""
    schema = PolicyDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def _validated(text: Text) -> PolicyDocument:
    try:
        # In JSON mode a list may become a tuple and nothing else is converted.
        return PolicyDocument.model_validate_json(json.dumps(text.data))
    except ValidationError as error:
        raise PolicyInvalidError([_diagnostic(text, detail) for detail in error.errors()]) from error


def _diagnostic(text: Text, detail: Any) -> Diagnostic:
    # pydantic adds the branch of a union to the path; the text has no such key.
    path: Path = tuple(part for part in detail["loc"] if isinstance(part, int) or "[" not in part)
    line, column = text.place(path)
    kind = detail["type"]
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return Diagnostic("error", "unknown_key", dotted(path), line, column, _suggestion(text, path))
    code = {"missing": "missing_key"}.get(kind, "invalid_value")
    return Diagnostic("error", code, dotted(path), line, column, message)


def _suggestion(text: Text, path: Path) -> str:
    allowed = sorted(_allowed(path[:-1]))
    near = get_close_matches(str(path[-1]), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no key {path[-1]!r} here{hint}" + (f" Allowed: {', '.join(allowed)}" if allowed else "")


def _allowed(path: Path) -> set[str]:
    """Return the keys that the schema knows at a path."""
    schema = json_schema()
    node: Any = schema
    for part in path:
        node = node.get("items", node) if isinstance(part, int) else node.get("properties", {}).get(part, {})
        for choice in [node, *node.get("anyOf", [])]:
            if "$ref" in choice or "$ref" in choice.get("items", {}):
                reference = choice.get("$ref") or choice["items"]["$ref"]
                target = schema["$defs"][reference.rpartition("/")[2]]
                node = {"items": target} if "$ref" not in choice else target
    return set(node.get("properties", {}))
