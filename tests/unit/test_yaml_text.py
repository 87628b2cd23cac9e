"""YAML as plain data: what a number is, what stays a text, and what is refused."""

import pytest

from rules.diagnostics import Diagnostic, PolicyInvalidError
from rules.yaml_text import read_yaml, text_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-12", -12),
        ("012", "012"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("1e308", 1e308),
        ("1e309", "1e309"),
        ("-1e309", "-1e309"),
        ("9223372036854775807", 9223372036854775807),
        ("1" + "0" * 25, 1e25),
        ("9" * 5_000, "9" * 5_000),
        (".nan", ".nan"),
        ("no", "no"),
        ("'12'", "12"),
        ("2026-03-01", "2026-03-01"),
        ("~", None),
        ("true", True),
    ],
)
def test_a_scalar_is_read_as_json_would_have_it(text: str, value: object) -> None:
    read = read_yaml(f"key: {text}").data["key"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: &x 1\nb: *x", "yaml_alias", 1, 4),
        ("a: 1\na: 2", "duplicate_key", 2, 1),
        ("<<: {a: 1}", "yaml_key", 1, 1),
        ("[a, b]: 1", "yaml_key", 1, 1),
        ("a: [1, 2", "yaml_syntax", 2, 1),
        ("[" * 21 + "1" + "]" * 21, "too_deep", 1, 22),
        ("# " + "x" * (256 * 1_024), "too_large", 1, 1),
        ("a: \x00", "yaml_syntax", 1, 1),
    ],
)
def test_what_a_policy_never_needs_is_refused_with_its_place(text: str, code: str, line: int, column: int) -> None:
    with pytest.raises(PolicyInvalidError) as error:
        read_yaml(text)
    (found,) = error.value.diagnostics
    assert (found.code, found.line, found.column) == (code, line, column)


def test_twenty_levels_fit() -> None:
    assert read_yaml("[" * 20 + "1" + "]" * 20).data


def test_bytes_that_are_no_utf_8_are_named_with_their_place() -> None:
    assert text_of("ä: ö".encode()) == "ä: ö"
    with pytest.raises(PolicyInvalidError) as error:
        text_of(b"a: 1\nb: caf\xe9 1")
    assert error.value.diagnostics == [
        Diagnostic("error", "not_utf_8", "", 2, 7, "byte 0xe9 is not UTF-8"),
    ]
    assert str(error.value) == "2:7 error not_utf_8: byte 0xe9 is not UTF-8"
