"""A contact that a decision asks for."""

from dataclasses import dataclass

from keepwell.v1.decision_pb2 import Decision, Escalation, InterventionAction

from keepwell_delivery.contact import Channel
from keepwell_delivery.facts import Facts, of_escalation, of_intervention
from keepwell_delivery.templates import ESCALATION


@dataclass(frozen=True)
class Job:
    """One contact, to be made once.

    Attributes:
        key: Its idempotency key.
        name: The channel's name, or the notice's target; for logs and metrics.
        channel: Who makes it.
        address: Which of the lead's addresses.
        lead_id: The lead.
        playbook: What to say or do.
        facts: What is known.
        not_before: Seconds since 1970; not to be made earlier.
        expires: Seconds since 1970; not to be made at or after it.
        has_outcome: It is an intervention, whose outcome the service waits for.

    """

    key: str
    name: str
    channel: Channel
    address: str
    lead_id: str
    playbook: str
    facts: Facts
    not_before: float
    expires: float
    has_outcome: bool

    @property
    def may_repeat(self) -> bool:
        """Whether an attempt that nobody knows the end of is made again: the provider does it once for its key, or it is a notice.

        A manager who is told twice of the same escalation loses a moment; one who is not told loses the lead.
        """
        return self.channel.takes_keys or not self.has_outcome


def intervention_job(decision: Decision, action: InterventionAction, name: str, channel: Channel, address: str) -> Job:
    """Return the contact of a granted intervention."""
    return Job(
        key=action.intervention_id,
        name=name,
        channel=channel,
        address=address,
        lead_id=decision.lead_id,
        playbook=action.playbook,
        facts=of_intervention(decision, action),
        not_before=action.not_before.ToMilliseconds() / 1_000,
        expires=action.expire_time.ToMilliseconds() / 1_000,
        has_outcome=True,
    )


def notice_job(escalation: Escalation, channel: Channel) -> Job:
    """Return the notice to an escalation's target: one for each level; moot once it is due, as it goes to the next target then."""
    return Job(
        key=f"{escalation.escalation_id}.{escalation.level}",
        name=escalation.target,
        channel=channel,
        address="",
        lead_id=escalation.lead_id,
        playbook=ESCALATION,
        facts=of_escalation(escalation),
        not_before=0.0,
        expires=escalation.due_time.ToMilliseconds() / 1_000 if escalation.HasField("due_time") else float("inf"),
        has_outcome=False,
    )
