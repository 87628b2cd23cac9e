"""Compiles a validated policy into flat rules for the engine: stages, mappings, denials, limits, escalation, the tenant's own.

Every comparison that depends on the policy becomes a rule; what it compares is computed before, as a fact. The order of the rules
is the order of the trace.
"""

from collections.abc import Iterable, Sequence

from rules.compiled import (
    Candidate,
    Ceiling,
    CompiledPolicy,
    Denial,
    EscalationRule,
    HoursRule,
    Leaf,
    LimitRule,
)
from rules.conditions import branches_of
from rules.document import CustomRule, Intervention, Limit, PolicyDocument, Window
from rules.hours import blocked_hours, is_inside, outside_hours
from rules.lead import playbook_code
from rules.legal_floor import LEGAL_FLOORS, LegalFloor
from rules.rulebook import UNTRACED, Rulebook
from rules.vocabulary import RISK_STAGES, Channel, ReasonCode, Stage
from rules.windows import CountingWindow


def compile_policy(document: PolicyDocument, version: str, tenant_time_zone: str = "UTC") -> CompiledPolicy:
    """Return the policy ready for the engine.

    Args:
        document: Validated.
        version: Hash of its content.
        tenant_time_zone: IANA name; what `time_zone: tenant` means.

    Raises:
        PolicyCompileError: It is larger than the engine takes.

    """
    return _Compiler(document, version, tenant_time_zone).compile()


class _Compiler:
    def __init__(self, document: PolicyDocument, version: str, tenant_zone: str) -> None:
        self._document = document
        self._version = version
        self._tenant_zone = tenant_zone
        self._book = Rulebook()
        self._hours: list[HoursRule] = []
        self._denials: dict[Channel, list[Denial]] = {channel: [] for channel in Channel}
        self._limits: list[LimitRule] = []
        self._stages: list[tuple[int, Stage]] = []
        stages = document.stages
        self._above = {
            Stage.EARLY_WARNING: stages.early_warning.above,
            Stage.ACTIVE_RISK: stages.active_risk.above,
            Stage.CRITICAL_RISK: stages.critical_risk.above,
        }

    def compile(self) -> CompiledPolicy:
        document = self._document
        self._compile_stages()
        proposals = self._proposals()
        self._compile_consent()
        self._compile_staleness()
        self._compile_quiet_hours()
        self._compile_legal_hours()
        self._compile_unknown_zone()
        self._compile_suppressions()
        self._compile_limits([intervention for _, intervention, _, _ in proposals])
        candidates = tuple(self._candidate(*proposal) for proposal in proposals)
        escalation = self._escalation()
        rules, trace, facts = self._book.finish()
        ceilings = tuple(Ceiling(limit.name, limit.maximum, limit.window) for limit in self._limits if limit.tenant)
        return CompiledPolicy(
            document.name,
            self._version,
            document,
            self._tenant_zone,
            rules,
            trace,
            facts,
            tuple(self._stages),
            candidates,
            tuple(self._hours),
            tuple(self._limits),
            ceilings,
            escalation,
        )

    # ── Stages and what they propose ──────────────────────────────────────────────────────────────────────────────

    def _band(self, stage: Stage) -> list[Leaf]:
        """Return the conditions under which the probability lies in a stage's band: above its bound, not above the next."""
        band = [Leaf("churn_probability", "gt", self._above[stage])]
        following = self._above.get(Stage(stage + 1)) if stage < Stage.CRITICAL_RISK else None
        return band if following is None else [*band, Leaf("churn_probability", "lte", following)]

    def _held(self, stage: Stage) -> list[Leaf] | None:
        """Return the conditions under which a lead is kept in a stage that its probability has left downwards."""
        length = self._document.hysteresis.de_escalate_after
        if length == 0:
            return None
        left = Leaf("churn_probability", "lte", self._above[stage])
        return [Leaf("previous.stage", "eq", int(stage)), left, Leaf("below_stage_ms", "lt", length)]

    def _in_stage(self, stage: Stage) -> list[list[Leaf]]:
        held = self._held(stage)
        return [self._band(stage)] if held is None else [self._band(stage), held]

    def _compile_stages(self) -> None:
        for stage in RISK_STAGES:
            for rule in self._book.add(f"stage.{stage.name.lower()}", self._band(stage)):
                self._stages.append((rule, stage))
        for stage in RISK_STAGES:
            held = self._held(stage)
            if held is not None:
                for rule in self._book.add(f"stage.held.{stage.name.lower()}", held):
                    self._stages.append((rule, stage))

    def _proposals(self) -> list[tuple[Stage | None, Intervention, str, tuple[int, ...]]]:
        """Return every intervention that may be granted, with the rules that propose it; best first within a stage."""
        found: list[tuple[Stage | None, Intervention, str, tuple[int, ...]]] = []
        for stage in RISK_STAGES:
            for intervention in getattr(self._document.interventions, stage.name.lower()):
                name = f"grant.{stage.name.lower()}.{intervention.channel}.{intervention.playbook}"
                found.append((stage, intervention, name, self._book.add(name, *self._in_stage(stage))))
        for rule in self._document.rules:
            if rule.then.grant is not None:
                added = self._book.add(f"rule.{rule.name}", *self._branches(rule))
                found.append((None, rule.then.grant, f"rule.{rule.name}", added))
        return found

    def _branches(self, rule: CustomRule) -> list[list[Leaf]]:
        return branches_of(rule, self._above, self._document.hysteresis.de_escalate_after)

    # ── What speaks against them ──────────────────────────────────────────────────────────────────────────────────

    def _deny(self, channel: Channel, name: str, reason: ReasonCode, *branches: Sequence[Leaf]) -> None:
        for rule in self._book.add(name, *branches):
            self._denials[channel].append(Denial(rule, reason, name))

    def _compile_consent(self) -> None:
        for channel in Channel:
            name = channel.name.lower()
            withdrawn = Leaf(f"consent.{name}.withdrawn", "eq", True)
            self._deny(channel, f"opt_out.{name}", ReasonCode.OPTED_OUT, [withdrawn])
            if self._document.consent.get(name) == "required":  # type: ignore[call-overload]
                missing = [Leaf(f"consent.{name}.granted", "eq", False), Leaf(f"consent.{name}.withdrawn", "eq", False)]
                self._deny(channel, f"consent.{name}", ReasonCode.NO_CONSENT, missing)

    def _compile_staleness(self) -> None:
        rules = self._book.add("stale_features", [Leaf("features.stale", "eq", True)])
        for channel in Channel:
            self._denials[channel].append(Denial(rules[0], ReasonCode.STALE_FEATURES, "stale_features"))

    def _block(
        self, hours: HoursRule, channels: Iterable[Channel], name: str, reason: ReasonCode, *, defers: bool
    ) -> None:
        self._hours.append(hours)
        (rule,) = self._book.add(name, [Leaf(hours.fact, "eq", True)])
        for channel in channels:
            self._denials[channel].append(Denial(rule, reason, name, hours, defers))

    def _compile_quiet_hours(self) -> None:
        for place, quiet in enumerate(self._document.quiet_hours):
            hours = HoursRule(f"quiet.{place}", blocked_hours(quiet.local, quiet.days))
            name = f"quiet_hours.{place}.{'+'.join(quiet.channels)}".replace("+", "_")[:64]
            defers = quiet.when_blocked == "defer"
            self._block(hours, _channels(quiet.channels), name, ReasonCode.QUIET_HOURS, defers=defers)

    def _compile_legal_hours(self) -> None:
        rows: list[tuple[Sequence[str], Sequence[str], str, bool]] = [
            (legal.channels, legal.countries, legal.local, True) for legal in self._document.legal_hours
        ]
        for floor in LEGAL_FLOORS:
            left = tuple(channel for channel in floor.channels if not self._narrows(floor, channel))
            if left:
                rows.append((left, (floor.country,), floor.local, False))
        for place, (channels, countries, local, unknown_country) in enumerate(rows):
            blocked = outside_hours(local)
            if blocked is not None:
                hours = HoursRule(f"legal.{place}", blocked, tuple(countries), unknown_country)
                name = f"legal_hours.{place}.{'_'.join(countries)}"[:64]
                self._block(hours, _channels(channels), name, ReasonCode.LEGAL_HOURS, defers=True)

    def _narrows(self, floor: LegalFloor, channel: str) -> bool:
        """Return whether the policy's own hours already keep a channel inside the legal floor."""
        return any(
            channel in legal.channels and floor.country in legal.countries and is_inside(legal.local, floor.local)
            for legal in self._document.legal_hours
        )

    def _compile_unknown_zone(self) -> None:
        """Close the channels that have hours to keep to leads whose local time nobody knows."""
        channels = [channel for channel in Channel if any(denial.hours for denial in self._denials[channel])]
        if channels:
            (rule,) = self._book.add("time_zone_unknown", [Leaf("zone.known", "eq", False)])
            for channel in channels:
                self._denials[channel].append(Denial(rule, ReasonCode.TIME_ZONE_UNKNOWN, "time_zone_unknown"))

    def _compile_suppressions(self) -> None:
        for rule in self._document.rules:
            if rule.then.suppress is not None:
                reason = ReasonCode[rule.then.reason.upper()]
                for added in self._book.add(f"rule.{rule.name}", *self._branches(rule)):
                    for channel in _channels(rule.then.suppress.channels):
                        self._denials[channel].append(Denial(added, reason, f"rule.{rule.name}"))

    # ── Limits ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _compile_limits(self, interventions: Sequence[Intervention]) -> None:
        most = max(self._document.max_interventions.model_dump().values())
        for place, limit in enumerate(self._document.limits):
            channel = 0 if limit.channel == "any" else Channel[limit.channel.upper()]
            if limit.per == "playbook":
                playbooks = dict.fromkeys(
                    i.playbook for i in interventions if channel in (0, Channel[i.channel.upper()])
                )
                for number, playbook in enumerate(playbooks):
                    self._limit(limit, f"limit.{place}.{number}", channel, playbook, most)
            else:
                self._limit(limit, f"limit.{place}", channel, "", most)

    def _limit(self, limit: Limit, fact: str, channel: int, playbook: str, most: int) -> None:
        """Add one limit: a rule that is true when it is full, and one for each contact that the same decision adds."""
        name = f"limit.{limit.name}" + (f".{playbook}" if playbook else "")
        first = self._book.add(name[:64], [Leaf(fact, "gte", limit.max)])
        variants = [*first]
        for added in range(1, min(most, limit.max + 1)):
            variants.append(len(self._book.rules))
            self._book.extend(name, UNTRACED, [[Leaf(fact, "gte", limit.max - added)]])
        self._limits.append(
            LimitRule(
                limit.name,
                fact,
                channel,
                playbook_code(playbook) if playbook else 0,
                limit.scope == "tenant",
                limit.max,
                self._window(limit.window),
                _limit_reason(limit),
                limit.when_blocked == "defer",
                tuple(variants),
            )
        )

    def _window(self, window: Window) -> CountingWindow:
        if window.rolling is not None:
            return CountingWindow(length_ms=window.rolling)
        zone = self._tenant_zone if window.time_zone == "tenant" else (window.time_zone or "")
        return CountingWindow(calendar=window.calendar or "", zone=zone)

    def _candidate(
        self, stage: Stage | None, intervention: Intervention, name: str, rules: tuple[int, ...]
    ) -> Candidate:
        channel = Channel[intervention.channel.upper()]
        code = playbook_code(intervention.playbook)
        denials = tuple(self._denials[channel])
        limits = tuple(limit for limit in self._limits if limit.channel in (0, channel) and limit.playbook in (0, code))
        hours = tuple(denial.hours for denial in denials if denial.hours is not None)
        return Candidate(
            stage, channel, intervention.playbook, code, intervention.cost, name, rules, denials, limits, hours
        )

    # ── Escalation ────────────────────────────────────────────────────────────────────────────────────────────────

    def _escalation(self) -> EscalationRule | None:
        plan = self._document.escalation
        if plan is None:
            return None
        stage = Stage[plan.when.stage.upper()]
        rules = self._book.add(f"escalate.{plan.target}", *self._in_stage(stage))
        cooldown = self._book.add("escalation.cooldown", [Leaf("escalated_before_ms", "lt", plan.cooldown)])
        share = self._book.add("escalation.share", [Leaf("escalation_share.left", "lt", 1)])
        return EscalationRule(
            stage,
            plan.target,
            f"escalate.{plan.target}",
            rules,
            cooldown[0],
            share[0],
            plan.cooldown,
            plan.acknowledge_within,
        )


def _channels(names: Iterable[str]) -> list[Channel]:
    return [Channel[name.upper()] for name in names]


def _limit_reason(limit: Limit) -> ReasonCode:
    if limit.scope == "tenant":
        return ReasonCode.LIMIT_TENANT
    if limit.per == "playbook":
        return ReasonCode.LIMIT_PLAYBOOK
    return ReasonCode.LIMIT_ANY_CHANNEL if limit.channel == "any" else ReasonCode.LIMIT_CHANNEL
