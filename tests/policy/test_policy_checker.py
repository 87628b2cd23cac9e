import pytest

from rules.policy_tests import run_policy_tests
from rules.source import check_policy, content_hash, read_policy
from server.policies import SHIPPED

DEFAULT = SHIPPED.read_text()


def test_the_shipped_policy_has_nothing_against_it_and_passes_its_own_tests() -> None:
    assert check_policy(DEFAULT) == []
    results = run_policy_tests(DEFAULT, SHIPPED.with_name("default_test.yaml").read_text())
    assert len(results) == 31
    assert [result.name for result in results if not result.passed] == []


def test_layout_and_comments_do_not_change_the_version() -> None:
    spaced = "# ours\n" + DEFAULT.replace("limits:", "limits:  # how often")
    assert content_hash(read_policy(spaced)) == content_hash(read_policy(DEFAULT))
    changed = read_policy(DEFAULT.replace("max: 3,", "max: 4,"))
    assert content_hash(changed) != content_hash(read_policy(DEFAULT))


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("cooldown: 24h", "cooldwn: 24h", "unknown_key", 44),
        ("max: 3,", "max: -3,", "invalid_value", 29),
        ("{above: 0.6}", "{above: 0.9}", "thresholds_out_of_order", 8),
        ("rolling: 14d", "rolling: 91d", "window_beyond_retention", 31),
        ("fact: lead.value,", "fact: lead.valu,", "unknown_fact", 54),
        ('"08:00-21:00"', '"07:00-21:00"', "legal_hours_widened", 37),
        ("{name: email_weekly,", "{name: email_daily,", "duplicate_name", 29),
        ("gt: 1000000}", 'gt: "x"}', "invalid_value", 54),
        ("max: 1, window: {rolling: 24h}", "max: 1, window: {rolling: 24h, calendar: day}", "invalid_value", 28),
        ("holdout: {percent: 5,", "holdout: {percent: 5, percent: 6,", "duplicate_key", 49),
    ],
)
def test_a_mistake_is_named_with_its_code_and_line(old: str, new: str, code: str, line: int) -> None:
    assert old in DEFAULT
    found = check_policy(DEFAULT.replace(old, new, 1))
    assert (code, line) in [(diagnostic.code, diagnostic.line) for diagnostic in found]


def test_a_gap_between_quiet_nights_is_pointed_out() -> None:
    old = '- {channels: [sms, phone], local: "20:00-09:00", when_blocked: defer}'
    new = (
        '- {channels: [sms], local: "21:00-09:00", days: [mon, tue, wed, thu, fri]}\n'
        '  - {channels: [sms], local: "00:00-24:00", days: [sat, sun]}'
    )
    (found,) = check_policy(DEFAULT.replace(old, new))
    assert (found.severity, found.code) == ("warning", "calendar_gap")
    assert "Mon 00:00-09:00" in found.message


def test_windows_of_exactly_ninety_days_are_allowed() -> None:
    assert check_policy(DEFAULT.replace("rolling: 14d", "rolling: 90d")) == []
