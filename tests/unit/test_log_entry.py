from server.store.entry import LogEntry, pack_entry, unpack_entry

ENTRY = LogEntry("2-0", b"decision", b"hits", b"inputs", "1-7")


def test_an_entry_is_read_as_it_was_written() -> None:
    packed = pack_entry(ENTRY.decision, ENTRY.hits, ENTRY.inputs)
    assert unpack_entry(b"2-0", {b"1-7": packed}) == ENTRY
    assert unpack_entry(b"2-0", {b"0-0": pack_entry(b"", b"", b"")}) == LogEntry("2-0", b"", b"", b"", "0-0")


def test_an_entry_of_four_fields_is_still_read() -> None:
    former = {b"d": b"decision", b"t": b"hits", b"i": b"inputs", b"p": b"1-7"}
    assert unpack_entry(b"2-0", former) == ENTRY


def test_a_dead_letter_that_held_the_decision_and_its_hits_alone_is_still_read() -> None:
    assert unpack_entry(b"2-0", {b"d": b"decision", b"t": b"hits"}) == ENTRY._replace(inputs=b"", previous="")
