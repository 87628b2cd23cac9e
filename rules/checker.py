"""What types cannot say about a policy: rules that never fire, limits that contradict, hours that leave a gap, windows beyond what is kept."""

from collections.abc import Callable, Iterator

from rules.checks_facts import check_conditions
from rules.checks_hours import check_hours
from rules.compiler import compile_policy
from rules.diagnostics import Diagnostic
from rules.document import Limit, PolicyDocument
from rules.retained import HISTORY_RETENTION_MS
from rules.rulebook import PolicyCompileError
from rules.windows import LONGEST_MS
from rules.yaml_text import Path, Text, dotted
from rules.zones import zone_names

DAYS_KEPT = HISTORY_RETENTION_MS // 86_400_000
Finding = tuple[str, str, Path, str]  # severity, code, path, message
Check = Callable[[PolicyDocument], Iterator[Finding]]


def findings(document: PolicyDocument, text: Text) -> list[Diagnostic]:
    """Return everything that the checks have to say, with places."""
    found = []
    for check in CHECKS:
        for severity, code, path, message in check(document):
            line, column = text.place(path)
            kind = "error" if severity == "error" else "warning"
            found.append(Diagnostic(kind, code, dotted(path), line, column, message))  # type: ignore[arg-type]
    if not any(diagnostic.severity == "error" for diagnostic in found):
        found += _compiles(document, text)
    return found


def _compiles(document: PolicyDocument, text: Text) -> list[Diagnostic]:
    try:
        compile_policy(document, "")
    except PolicyCompileError as error:
        line, column = text.place(("rules",))
        return [Diagnostic("error", error.code, "rules", line, column, str(error))]
    return []


def check_thresholds(document: PolicyDocument) -> Iterator[Finding]:
    """Find thresholds that are out of order."""
    stages = document.stages
    pairs = (("early_warning", "active_risk"), ("active_risk", "critical_risk"))
    for lower, higher in pairs:
        low, high = getattr(stages, lower).above, getattr(stages, higher).above
        if low >= high:
            message = f"{higher} begins above {high}, which must be more than {lower}'s {low}"
            yield "error", "thresholds_out_of_order", ("stages", higher, "above"), message


def check_names(document: PolicyDocument) -> Iterator[Finding]:
    """Find names that stand for two things."""
    names = {"limits": [limit.name for limit in document.limits], "rules": [rule.name for rule in document.rules]}
    for key, named in names.items():
        seen: set[str] = set()
        for place, name in enumerate(named):
            if name in seen:
                yield "error", "duplicate_name", (key, place, "name"), f"{name!r} is taken"
            seen.add(name)


def check_stages_act(document: PolicyDocument) -> Iterator[Finding]:
    """Find stages in which nothing can ever be done."""
    grants = [rule.then.grant for rule in document.rules if rule.then.grant]
    never = {limit.channel for limit in document.limits if limit.max == 0 and limit.per is None}
    for stage in ("early_warning", "active_risk", "critical_risk"):
        proposals = [*getattr(document.interventions, stage), *grants]
        if getattr(document.max_interventions, stage) == 0:
            yield "error", "stage_never_acts", ("max_interventions", stage), "0 interventions: the stage can never act"
        elif not proposals:
            yield "error", "stage_never_acts", ("interventions", stage), "no interventions: the stage can never act"
        elif "any" in never or all(proposal.channel in never for proposal in proposals):
            message = "a limit with max 0 blocks every intervention of the stage"
            yield "error", "stage_never_acts", ("interventions", stage), message


def check_limits(document: PolicyDocument) -> Iterator[Finding]:
    """Find limits that never bind, bind nothing, or never let anything through."""
    stages = document.interventions
    used = {i.channel for stage in (stages.early_warning, stages.active_risk, stages.critical_risk) for i in stage}
    used |= {rule.then.grant.channel for rule in document.rules if rule.then.grant}
    for place, limit in enumerate(document.limits):
        path: Path = ("limits", place)
        if limit.max == 0:
            yield "warning", "limit_never_allows", (*path, "max"), "0 means never; leave the limit out for no limit"
        if limit.channel != "any" and limit.channel not in used:
            yield "warning", "limit_unused", (*path, "channel"), f"no intervention uses {limit.channel}"
        zone = limit.window.time_zone
        if zone not in (None, "lead", "tenant") and zone not in zone_names():
            yield (
                "error",
                "unknown_zone",
                (*path, "window", "time_zone"),
                f"{zone!r} is not lead, tenant or an IANA zone",
            )
        for other in document.limits:
            if _shadows(other, limit):
                message = f"{other.name} allows {other.max} in a longer window, so this limit never binds"
                yield "warning", "limit_contradiction", path, message


def _length(limit: Limit) -> int:
    return limit.window.rolling or LONGEST_MS[limit.window.calendar or "day"]


def _shadows(other: Limit, limit: Limit) -> bool:
    """Return whether another limit is always full first: the same contacts, a longer window, and no more of them."""
    same = (other.channel, other.per, other.scope) == (limit.channel, limit.per, limit.scope)
    return other is not limit and same and _length(other) > _length(limit) and other.max <= limit.max


def check_retention(document: PolicyDocument) -> Iterator[Finding]:
    """Find windows and cooldowns that reach back further than contacts are remembered."""
    lengths: list[tuple[Path, int]] = [(("hysteresis", "de_escalate_after"), document.hysteresis.de_escalate_after)]
    lengths += [(("limits", place, "window"), _length(limit)) for place, limit in enumerate(document.limits)]
    if document.escalation:
        lengths.append((("escalation", "cooldown"), document.escalation.cooldown))
    for path, length in lengths:
        if length > HISTORY_RETENTION_MS:
            message = f"contacts are remembered for {DAYS_KEPT} days; nothing may look back further"
            yield "error", "window_beyond_retention", path, message


def check_escalation(document: PolicyDocument) -> Iterator[Finding]:
    """Find an escalation that goes in a circle."""
    plan = document.escalation
    if plan and plan.then and plan.then.target == plan.target:
        yield "error", "escalation_loop", ("escalation", "then", "target"), f"{plan.target} was asked already"


CHECKS: tuple[Check, ...] = (
    check_thresholds,
    check_names,
    check_stages_act,
    check_limits,
    check_hours,
    check_retention,
    check_escalation,
    check_conditions,
)
