"""How much of an error a caller is told."""

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from server.errors import FieldViolation, InvalidFieldsError, ModelRefusedError
from server.status import logged, status_of
from server.status_size import shortened


def details(status: Status) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the metadata, and the bad fields with what is said of each."""
    info, bad = ErrorInfo(), BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return dict(info.metadata), [(violation.field, violation.description) for violation in bad.field_violations]


def bad_fields(count: int, description: str = "must be set") -> Status:
    return status_of(InvalidFieldsError(*(FieldViolation(f"f[{place}]", description) for place in range(count))))


def test_a_text_is_cut_by_the_bytes_that_it_takes_in_a_trailer() -> None:
    assert shortened("a" * 20, 20) == "a" * 20
    assert shortened("a" * 21, 20) == "a" * 11 + "…"
    assert shortened("%" * 6, 18) == "%" * 6
    assert shortened("%" * 7, 18) == "%" * 3 + "…"
    assert shortened("ü" * 3, 18) == "ü" * 3
    assert shortened("ü" * 4, 18) == "ü…"
    assert shortened("", 18) == ""


def test_one_bad_field_is_told_whole() -> None:
    status = bad_fields(1)
    assert (status.code, status.message) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], "f[0]: must be set")
    assert details(status) == ({}, [("f[0]", "must be set")])


def test_of_bad_fields_that_fit_each_is_told_and_the_message_says_how_many_follow_the_first() -> None:
    status = bad_fields(8)
    assert status.message == "f[0]: must be set; and 7 more"
    assert details(status) == ({}, [(f"f[{place}]", "must be set") for place in range(8)])


def test_of_bad_fields_that_do_not_fit_the_first_are_told_whole_and_the_others_counted() -> None:
    status = bad_fields(5_000, "x" * 700)
    metadata, told = details(status)
    assert status.message == "f[0]: " + "x" * 700 + "; and 4999 more"
    assert told == [(f"f[{place}]", "x" * 700) for place in range(3)]
    assert metadata == {"fields_left_out": "4997"}


def test_a_path_and_a_description_without_end_are_cut_and_what_follows_is_counted_all_the_same() -> None:
    long = FieldViolation("p" * 1_000_000, "d" * 1_000_000)
    status = status_of(InvalidFieldsError(long, FieldViolation("b", "must be set")))
    assert details(status)[1] == [("p" * 247 + "…", "d" * 1_015 + "…"), ("b", "must be set")]
    assert status.message.startswith("p" * 247 + "…: ddd")
    assert status.message.endswith("d…; and 1 more")


def test_the_refusals_of_the_largest_batch_fit_into_a_message_of_4_mb() -> None:
    worst = max(
        status_of(InvalidFieldsError(*[FieldViolation("p" * 1_000, "d" * size)] * 5_000)).ByteSize()
        for size in range(1_100)
    )
    ids_and_frame = 128 + 16
    assert 1_024 * (worst + ids_and_frame) < 4 << 20


def test_what_a_caller_called_a_file_is_cut_too() -> None:
    status = status_of(ModelRefusedError("m" * 100_000 + " is missing", "m" * 100_000))
    assert details(status)[0] == {"file": "m" * 1_015 + "…"}
    assert status.message == "m" * 1_015 + "…"


def test_what_is_logged_of_an_error_is_cut_too() -> None:
    assert logged(ModelRefusedError("m" * 512)) == "m" * 512
    assert logged(ModelRefusedError("m" * 513)) == "m" * 503 + "…"
