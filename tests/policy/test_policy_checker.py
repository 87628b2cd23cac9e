import pytest

from rules.policy_tests import read_tests, run_policy_tests
from rules.source import check_policy, content_hash, read_policy
from server.policies import SHIPPED

DEFAULT = SHIPPED.read_text()


def test_the_shipped_policy_has_nothing_against_it_and_passes_its_own_tests() -> None:
    assert check_policy(DEFAULT) == []
    tests = read_tests(SHIPPED.with_name("default_test.yaml").read_text())
    results = run_policy_tests(read_policy(DEFAULT), tests)
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


OWN = (
    DEFAULT.rstrip("\n")
    + "\n  - {name: own, when: {CONDITIONS}, then: {suppress: {channels: [email]}, reason: not_eligible}}\n"
)


@pytest.mark.parametrize(
    ("conditions", "code", "place", "message"),
    [
        ("all: [{fact: weather, eq: 1}]", "unknown_fact", "all[0].fact", "there is no fact 'weather'. Facts: churn_"),
        ("all: [{fact: lead.value, at_least: 3}]", "invalid_value", "all[0].at_least", "should be 'early_warning', 'active_"),
        ("all: [{fact: lead.value, at_least: active_risk}]", "fact_type", "all[0].at_least", "is a number and is compared with eq"),
        ("any: [{fact: stage, eq: active_risk}]", "fact_type", "any[0].eq", "is a stage and is compared with at_least"),
        ("all: [{fact: lead.value, gt: true}]", "invalid_value", "all[0].gt", "should be a valid number"),
        ("all: [{fact: lead.value, eq: true}]", "fact_type", "all[0].eq", "lead.value is compared with a number"),
        ("all: [{fact: lead.country, eq: 4}]", "fact_type", "all[0].eq", "lead.country is compared with a text"),
        ("all: [{fact: lead.attributes.a, lt: x}]", "invalid_value", "all[0].lt", "should be a valid number"),
        ("all: [{fact: local.hour, gt: 8}, {fact: local.hour, lt: 8}]", "rule_never_fires", "all", "no value of local.hour"),
        ("all: [{fact: local.hour, gt: 23}]", "rule_never_fires", "all", "no value of local.hour"),
        ("any: [{fact: churn_probability, gt: 1}]", "rule_never_fires", "any", "none of these can be true"),
        ("all: [{fact: stage, at_least: critical_risk}, {fact: stage, at_most: active_risk}]", "rule_never_fires", "all", "stage"),
        ("all: [{fact: churn_probability, gte: 0}]", "rule_always_fires", "", "own is true for every lead"),
        ("any: [{fact: stage, at_most: critical_risk}]", "rule_always_fires", "", "own is true for every lead"),
    ],
)  # fmt: skip
def test_a_condition_that_makes_no_sense_is_named_with_its_place(
    conditions: str, code: str, place: str, message: str
) -> None:
    (found,) = check_policy(OWN.replace("CONDITIONS", conditions))
    assert (found.code, found.severity) == (code, "warning" if code == "rule_always_fires" else "error")
    assert found.path == ".".join(["rules[2].when", *([place] if place else [])])
    assert message in found.message


@pytest.mark.parametrize(
    "conditions",
    [
        "all: [{fact: local.hour, gte: 23}]",
        "all: [{fact: local.hour, gt: 8}, {fact: local.hour, lt: 10}]",
        "any: [{fact: churn_probability, gt: 1}, {fact: lead.value, gt: 1}]",
        "all: [{fact: stage, at_least: active_risk}, {fact: stage, at_most: active_risk}]",
        "all: [{fact: lead.value, gte: 0}]",
        "any: [{fact: lead.attributes.a, lt: 3}, {fact: lead.attributes.b, eq: x}]",
    ],
)
def test_a_condition_that_may_be_true_and_may_be_false_has_nothing_against_it(conditions: str) -> None:
    assert check_policy(OWN.replace("CONDITIONS", conditions)) == []


@pytest.mark.parametrize(
    ("old", "new", "severity", "code", "path"),
    [
        ("time_zone: lead", "time_zone: Mars/Base", "error", "unknown_zone", "limits[2].window.time_zone"),
        ("max: 3, window: {rolling: 7d}", "max: 1, window: {rolling: 7d}", "warning", "limit_contradiction", "limits[0]"),
        ("then: {target: director}", "then: {target: manager}", "error", "escalation_loop", "escalation.then.target"),
    ],
)  # fmt: skip
def test_what_never_works_is_pointed_out(old: str, new: str, severity: str, code: str, path: str) -> None:
    assert old in DEFAULT
    found = check_policy(DEFAULT.replace(old, new, 1))
    assert (severity, code, path) in [(each.severity, each.code, each.path) for each in found]


@pytest.mark.parametrize(
    ("limit", "severity", "code", "path"),
    [
        ("name: never, channel: push, max: 0", "warning", "limit_never_allows", "limits[5].max"),
        ("name: all, channel: any, max: 0", "error", "stage_never_acts", "interventions.early_warning"),
    ],
)
def test_a_limit_that_never_matters_or_always_does_is_pointed_out(
    limit: str, severity: str, code: str, path: str
) -> None:
    more = f"  - {{{limit}, window: {{rolling: 1d}}}}\nquiet_hours:"
    found = check_policy(DEFAULT.replace("\nquiet_hours:", more, 1))
    assert (severity, code, path) in [(each.severity, each.code, each.path) for each in found]


def test_a_limit_of_a_channel_that_nothing_uses_is_pointed_out() -> None:
    idle = "  - {name: idle, channel: crm_workflow, max: 1, window: {rolling: 1d}}\nquiet_hours:"
    text = DEFAULT.replace("\nquiet_hours:", idle, 1)
    assert check_policy(text) == []
    (found,) = check_policy(text.replace("channel: crm_workflow, playbook", "channel: in_app, playbook"))
    assert (found.severity, found.code, found.path) == ("warning", "limit_unused", "limits[5].channel")


def test_more_alternatives_than_make_sense_are_refused() -> None:
    pairs = ", ".join("{fact: stage, at_least: early_warning}" for _ in range(5))  # two ways each, by hysteresis
    (found,) = check_policy(OWN.replace("CONDITIONS", f"all: [{pairs}]"))
    assert (found.severity, found.code, found.path) == ("error", "too_many_conditions", "rules")
    assert found.message == "rule.own has 32 alternatives; 16 fit"
    four = ", ".join("{fact: stage, at_least: early_warning}" for _ in range(4))
    assert check_policy(OWN.replace("CONDITIONS", f"all: [{four}]")) == []


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
