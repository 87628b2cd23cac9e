"""Numbers as bytes, which end with the last known one, and as arrays."""

from struct import pack

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.features import NUMERIC, matrix_of, numbers_row, rows_at, rows_of

NAN = float("nan")
LAST = len(NUMERIC) - 1


def test_a_row_ends_with_the_last_known_number() -> None:
    matrix = np.full((4, len(NUMERIC)), NAN)
    matrix[0, 0], matrix[1, 2], matrix[3, LAST] = 0.0, 1.5, 2.0
    rows = rows_of(matrix)
    assert rows[:3] == [pack("<d", 0.0), pack("<ddd", NAN, NAN, 1.5), b""]
    assert (len(rows[3]), rows[3][-8:]) == (8 * len(NUMERIC), pack("<d", 2.0))


def test_numbers_given_by_name_make_the_same_row_in_any_order() -> None:
    for names in (("gap_last", "tenure_days"), ("tenure_days", "gap_last")):
        row, faults = numbers_row(dict.fromkeys(names, 3.0))
        assert (len(row), faults) == (17 * 8, {})
        assert matrix_of([row])[0, [3, 16]].tolist() == [3.0, 3.0]


def test_zero_is_the_same_number_whatever_its_sign() -> None:
    assert numbers_row({"velocity_7": -0.0}) == numbers_row({"velocity_7": 0.0})
    assert (
        rows_at([1, 0], np.array([[-0.0, 2.0]])) == rows_at([1, 0], np.array([[0.0, 2.0]])) == [pack("<dd", 2.0, 0.0)]
    )


@given(st.lists(st.lists(st.just(NAN) | st.floats(0, 7), max_size=len(NUMERIC)), min_size=1))
def test_rows_come_back_without_what_is_unknown_at_their_end(leads: list[list[float]]) -> None:
    rows = [pack(f"<{len(numbers)}d", *numbers) for numbers in leads]
    matrix = matrix_of(rows)
    assert matrix.shape == (len(leads), len(NUMERIC))
    for row, again in zip(rows, rows_of(matrix), strict=True):
        assert row.startswith(again)
        assert np.isnan(np.frombuffer(row[len(again) :])).all()
        assert not again or not np.isnan(np.frombuffer(again[-8:]))[0]
