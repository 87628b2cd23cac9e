"""A policy's text, read and checked: into a document, or into diagnostics that name line and column."""

import hashlib
import json
from typing import Any

from rules.checker import findings
from rules.diagnostics import Diagnostic, PolicyInvalidError
from rules.document import PolicyDocument
from rules.validation import validated
from rules.yaml_text import read_yaml

SCHEMA_ID = "https://keepwell.dev/schemas/policy-v1.json"

__all__ = ["PolicyInvalidError", "check_policy", "content_hash", "json_schema", "read_policy"]


def read_policy(source: str) -> PolicyDocument:
    """Return the document of a policy's text; warnings do not matter here.

    Raises:
        PolicyInvalidError: It has errors.

    """
    text = read_yaml(source)
    document = validated(text, PolicyDocument)
    errors = [found for found in findings(document, text) if found.severity == "error"]
    if errors:
        raise PolicyInvalidError(errors)
    return document


def check_policy(source: str) -> list[Diagnostic]:
    """Return everything that is wrong or doubtful about a policy's text, in the order of its lines."""
    try:
        text = read_yaml(source)
        found = findings(validated(text, PolicyDocument), text)
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
