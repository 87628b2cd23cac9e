import re

import pytest

from model.event_properties import property_fault
from model.events import CORE, PropertyType
from rules.diagnostics import PolicyInvalidError
from server.event_types import read_event_types

DOCUMENT = """\
schema: keepwell.events/v1
types:
  - name: brochure_download
    meaning: fetched a brochure
    counter: page_views
    properties:
      pages: {type: integer, min: 1, max: 500}
      language: {type: text, one_of: [en, de], required: true}
  - name: deposit_returned
    meaning: got a deposit back
    activity: false
    amount: subtracts
"""


def faults(source: str) -> list[str]:
    with pytest.raises(PolicyInvalidError) as error:
        read_event_types(source)
    return [f"{found.line}:{found.column} {found.path}" for found in error.value.diagnostics]


def test_a_tenant_has_everybodys_types_and_its_own() -> None:
    types = read_event_types(DOCUMENT)
    assert set(types) == {*CORE, "brochure_download", "deposit_returned"}
    brochure, deposit = types["brochure_download"], types["deposit_returned"]
    assert (brochure.activity, brochure.counter, brochure.amount) == (True, CORE["page_view"].counter, 0)
    assert (deposit.activity, deposit.counter, deposit.amount) == (False, None, -1)
    assert brochure.properties == {
        "pages": PropertyType("integer", lowest=1, highest=500),
        "language": PropertyType("text", required=True, choices=("en", "de")),
    }


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("counter: page_views", "counter: pages", "5:5 types[0].counter"),
        ("    meaning: fetched", "    meening: fetched", "3:5 types[0].meaning"),
        ("min: 1, max: 500", "min: 501, max: 500", "7:7 types[0].properties.pages"),
        ("type: text, one_of: [en, de]", "type: boolean, one_of: [en, de]", "8:7 types[0].properties.language"),
        ("name: brochure_download", "name: Brochure", "3:5 types[0].name"),
        ("name: brochure_download", "name: site_visit", "3:5 types[0]"),
        ("name: deposit_returned", "name: brochure_download", "1:1 "),
        ("schema: keepwell.events/v1", "schema: keepwell.events/v2", "1:1 schema"),
    ],
)
def test_a_fault_is_named_by_line_and_column(before: str, after: str, place: str) -> None:
    assert place in faults(DOCUMENT.replace(before, after))


def test_an_unknown_key_is_named_with_those_that_are_allowed() -> None:
    with pytest.raises(PolicyInvalidError, match=re.escape("did you mean 'required'? Allowed: max, max_length, min")):
        read_event_types(DOCUMENT.replace("required: true", "requird: true"))


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        (PropertyType("integer", lowest=1, highest=5), ["1", "5"], ["0", "6", "1.5", "", "one", "nan"]),
        (PropertyType("number", lowest=-0.5), ["-0.5", "1e3", "2"], ["-0.51", "inf", "1e999", "1,5", "0x10"]),
        (PropertyType("boolean"), ["true", "false"], ["True", "1", ""]),
        (PropertyType("text", longest=3), ["", "abc"], ["abcd", "a\n"]),
        (PropertyType("text", choices=("a", "b")), ["a", "b"], ["c", ""]),
    ],
)
def test_a_property_says_what_its_type_allows(declared: PropertyType, good: list[str], bad: list[str]) -> None:
    assert [property_fault(declared, text) for text in good] == [None] * len(good)
    assert all(property_fault(declared, text) for text in bad)
