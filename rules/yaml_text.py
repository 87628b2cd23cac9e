"""YAML as plain data, with the place of every value. Only what JSON could say is read: `no` is a text, `012` is a text, there are no dates.

Refused, because a policy needs none of it and each has hidden a mistake before: duplicate keys, anchors and aliases, merge keys,
deep nesting, and more text than a policy can be.
"""

import re
from math import isfinite
from typing import Any, NamedTuple

import yaml

from rules.diagnostics import Diagnostic, PolicyInvalidError

LARGEST_BYTES = 256 * 1_024
DEEPEST = 20
LONGEST_INTEGER = 20  # characters: 64 bits
INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Where something stands; both count from 1."""

    line: int
    column: int


class Text(NamedTuple):
    """A document: its data, and the places of its keys and items by path."""

    data: Any
    places: dict[Path, Place]

    def place(self, path: Path) -> Place:
        """Return where a path stands; the nearest part that does, for one that is missing."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


def dotted(path: Path) -> str:
    """Return a path as people write it: `limits[2].window`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Refused(Exception):  # noqa: N818 (becomes a diagnostic at once)
    def __init__(self, code: str, path: Path, mark: Any, message: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic("error", code, dotted(path), mark.line + 1, mark.column + 1, message)


def text_of(data: bytes) -> str:
    """Return a file's text; raises PolicyInvalidError when it is too long, and at the first byte that is not UTF-8."""
    _check_size(len(data))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise PolicyInvalidError([Diagnostic("error", "not_utf_8", "", line, column, message)]) from error


def _check_size(size_bytes: int) -> None:
    if size_bytes > LARGEST_BYTES:
        raise PolicyInvalidError([Diagnostic("error", "too_large", "", 1, 1, f"at most {LARGEST_BYTES} bytes")])


def read_yaml(source: str) -> Text:
    """Return the data of a YAML text.

    Raises:
        PolicyInvalidError: It is not YAML, or uses what is refused here.

    """
    _check_size(len(source.encode()))
    try:
        for event in yaml.parse(source, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _Refused("yaml_alias", (), event.start_mark, "anchors and aliases are not read here")  # noqa: TRY301
        node = yaml.compose(source, Loader=yaml.CSafeLoader)
        places: dict[Path, Place] = {}
        return Text(_data(node, (), places, 0), places)
    except _Refused as refused:
        raise PolicyInvalidError([refused.diagnostic]) from refused
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = error.problem or "this is not YAML"
        raise PolicyInvalidError([Diagnostic("error", "yaml_syntax", "", line, column, message)]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise PolicyInvalidError([Diagnostic("error", "yaml_syntax", "", 1, 1, str(error))]) from error


def _data(node: yaml.Node | None, path: Path, places: dict[Path, Place], depth: int) -> Any:
    if node is None:
        return None
    places.setdefault(path, Place(node.start_mark.line + 1, node.start_mark.column + 1))
    if depth > DEEPEST:
        raise _Refused("too_deep", path, node.start_mark, f"at most {DEEPEST} levels")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, places, depth)
    if isinstance(node, yaml.SequenceNode):
        return [_data(item, (*path, place), places, depth + 1) for place, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path, places: dict[Path, Place], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        here = (*path, key) if isinstance(key, str) else path
        if not isinstance(key, str) or key == "<<":
            raise _Refused("yaml_key", here, key_node.start_mark, "a key is a plain text, and there are no merge keys")
        if key in found:
            raise _Refused("duplicate_key", here, key_node.start_mark, f"{key!r} stands here twice")
        places[here] = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        found[key] = _data(value_node, here, places, depth + 1)
    return found


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"', "|", ">"):
        return text
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text) and len(text) <= LONGEST_INTEGER:
        return int(text)
    # What no float can hold stays a text, which is refused wherever a number has to be.
    return number if NUMBER.fullmatch(text) and isfinite(number := float(text)) else text
