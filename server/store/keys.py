r"""Every key that Keepwell keeps in the store: pattern, type, lifetime.

    {T/p}:lead:<lead_id>      string  the lead's record: `<version> <last log id>\\n` + LeadRecord; until erased
    {T/p}:decision:<id>       string  where a decision lies: 16 bytes of request fingerprint + its log id + blank + lead id; the log's
                                      retention + 1 day, at least 91 days if it granted a contact, and up to a minute more. It is also the
                                      idempotency record, since a decision's id is derived from its request id
    {T/p}:log                 stream  the decisions in the order of their commits: one field, whose name is the lead's previous log id,
                                      with Decision without its trace, rules that hit and DecisionInputs (`log.py`);
                                      trimmed by the retention. It is the feed, too
    {T/p}:events              stream  what leads did, in the order of arrival: fields e (LeadEvent), n (the tenant's now in ms);
                                      trimmed by its own retention
    {T/p}:due                 zset    lead ids by when they are to be looked at again, in ms; until erased
    {T/p}:expiring            zset    ids of decisions, those of a commit that are kept equally long as one text, by when their keys go, in the
                                      store's ms; until then
    {T/p}:event:<hash>        string  empty: this event of this lead is known; the window for late events + 1 day
    {T/p}:outcomes            stream  what became of contacts, in the order of arrival: field o (OutcomeEntry); trimmed by its own retention
    {T/p}:outcome:<hash>      string  fingerprint of the outcome with this id; 91 days
    {T/p}:intervention:<id>   string  Standing: whether an outcome said that it was sent or not; 91 days
    {T/p}:escalation:<id>     string  its lead and RaisedEscalation; until closed, then 91 days
    {T/p}:escalations         zset    all of them by `<raised at in ms, 15 digits> <escalation id>` (score 0); as long as their records
    {T/p}:escalations:open    zset    likewise, those that are open or acknowledged
    {T/p}:escalations:due     zset    lead ids of open ones by when they go to the next target, in ms; until acknowledged or closed
    {T/p}:escalations:log     stream  every change of an escalation: field e (as its record); trimmed by the log's retention
    {T/p}:escalations:trimmed string  the last id of that stream that retention removed
    {T/p}:trimmed             string  the last log id that retention removed
    {T/p}:subscriptions       hash    name to `<epoch> <FeedFilter>`; until the subscription is deleted. Each is also a consumer group of its
                                      name on the log, which knows who was handed what, and how often
    {T/p}:leases:<name>       zset    log ids that a subscription's consumers hold, by when they come back, in the store's ms; until settled
    {T/p}:returned:<name>     zset    log ids that came back, by when they may be handed out again, in the store's ms; until they are
    {T/p}:gaps                hash    subscription to what retention removed before it was acknowledged (MessagePack: missed, first, last, …);
                                      until that is acknowledged
    {T/p}:dead:<name>         stream  dead letters: fields l (log id), n (attempts), e (epoch), and those of the log's entry; the newest 10,000,
                                      until the subscription is deleted
    {T/p}:clock               string  the tenant's now in ms; manual clock only; for ever
    {T/p}:ceiling:<name>      zset    instants of the contacts granted under a tenant-wide limit; 91 days, however short its window is now
    {T/p}:day:<yyyymmdd>      hash    leads (decided), escalated: of the tenant's calendar day; 3 days
    {T/0}:request:<id>        string  fingerprint of a mutating call that is no decision, and its answer if it has one to repeat; 25 hours
    {T/p}:request:<id> <n>    string  fingerprint of an UpsertLeads whose n-th lead was written; 25 hours, 10 minutes once all of them are
    {T/0}:policy:<version>    string  the policy's source text; for ever (a decision names its version)
    {T/0}:model:<version>     hash    an artifact: the bytes of manifest.json and of every file that it names; while it is among the
                                      tenant's 64, which drop none that may still be named by a retained decision
    {T/0}:models              zset    model versions by when they came in, in ms; as the artifact
    {T/0}:models-left         zset    model versions by when they stopped scoring last, in ms; as the artifact
    {T/0}:model-active        string  `<revision> <version> <version before> …`: what scores, newest first; for ever
    {T/0}:drift:<v>:<yyyymmdd> hash   leads that model v scored on a UTC day by feature and bin, `since` in ms; 3 days
    keepwell:model:<version>  hash    as above, of a model that a replica came with; for ever (a decision names its version)
    keepwell:model-tenants    set     every tenant that ever brought a model in; for ever
    keepwell:token-key        string  32 random bytes that authenticate resume tokens; for ever
    keepwell:tenants          set     every tenant that was ever decided for; for ever
    keepwell:confirmed        string  empty: written so that replicas can be waited for; for ever

T is the tenant, p one of its partitions. All keys of a partition share the hash tag `{T/p}`: one slot of a cluster, so
the commit script stays atomic there.
"""

from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

from rules.retained import HISTORY_RETENTION_MS

TOKEN_KEY = "keepwell:token-key"
TENANTS_KEY = "keepwell:tenants"
CONFIRMED_KEY = "keepwell:confirmed"
MODEL_TENANTS_KEY = "keepwell:model-tenants"
FINGERPRINT_BYTES = 16
DAY_MS = 86_400_000
# What an outcome may still change: as long as a contact counts (`rules/retained.py`), and a day.
CONTACT_SECONDS = (HISTORY_RETENTION_MS + DAY_MS) // 1_000
REQUEST_SECONDS = 86_400 + 3_600
# A tenant's partitions, fixed for good. One, as long as the store is a single server: more would spread a tenant over a cluster's slots, and a
# request id would then have to be looked up in the partition of every lead that it was ever used for.
PARTITIONS = 1


class Partition(NamedTuple):
    """One partition of one tenant: the unit of atomicity."""

    tenant: str
    number: int

    @property
    def tag(self) -> str:
        """The hash tag that all keys of the partition share."""
        return f"{{{self.tenant}/{self.number}}}"

    def lead(self, lead_id: str) -> str:
        """Return the key of a lead's record."""
        return f"{self.tag}:lead:{lead_id}"

    def decision(self, decision_id: str) -> str:
        """Return the key that says where a decision lies."""
        return f"{self.tag}:decision:{decision_id}"

    @property
    def log(self) -> str:
        """The key of the decision log."""
        return f"{self.tag}:log"

    @property
    def events(self) -> str:
        """The key of the event log."""
        return f"{self.tag}:events"

    @property
    def due(self) -> str:
        """The key of the leads by their next review."""
        return f"{self.tag}:due"

    @property
    def expiring(self) -> str:
        """The key of the decisions by when their keys go."""
        return f"{self.tag}:expiring"

    def event(self, lead_id: str, event_id: str) -> str:
        """Return the key that says that an event is known."""
        digest = blake2b(f"{lead_id} {event_id}".encode(), digest_size=15, person=b"event").hexdigest()
        return f"{self.tag}:event:{digest}"

    @property
    def outcomes(self) -> str:
        """The key of the outcome log."""
        return f"{self.tag}:outcomes"

    def outcome(self, outcome_id: str) -> str:
        """Return the key that says that an outcome is known."""
        digest = blake2b(outcome_id.encode(), digest_size=15, person=b"outcome").hexdigest()
        return f"{self.tag}:outcome:{digest}"

    def intervention(self, intervention_id: str) -> str:
        """Return the key of what is known of an intervention."""
        return f"{self.tag}:intervention:{intervention_id}"

    def escalation(self, escalation_id: str) -> str:
        """Return the key of an escalation."""
        return f"{self.tag}:escalation:{escalation_id}"

    @property
    def escalations(self) -> str:
        """The key of all escalations by when they were raised."""
        return f"{self.tag}:escalations"

    @property
    def open_escalations(self) -> str:
        """The key of those that are open or acknowledged."""
        return f"{self.tag}:escalations:open"

    @property
    def due_escalations(self) -> str:
        """The key of the leads whose escalation waits to be acknowledged, by until when."""
        return f"{self.tag}:escalations:due"

    @property
    def escalation_log(self) -> str:
        """The key of the log of escalations' changes."""
        return f"{self.tag}:escalations:log"

    @property
    def escalation_log_trimmed(self) -> str:
        """The key of the last id of that log that retention removed."""
        return f"{self.tag}:escalations:trimmed"

    @property
    def trimmed(self) -> str:
        """The key of the last log id that retention removed."""
        return f"{self.tag}:trimmed"

    @property
    def subscriptions(self) -> str:
        """The key of the subscriptions."""
        return f"{self.tag}:subscriptions"

    def leases(self, subscription: str) -> str:
        """Return the key of what a subscription's consumers hold."""
        return f"{self.tag}:leases:{subscription}"

    def returned(self, subscription: str) -> str:
        """Return the key of what came back to a subscription."""
        return f"{self.tag}:returned:{subscription}"

    @property
    def gaps(self) -> str:
        """The key of what retention took from subscriptions."""
        return f"{self.tag}:gaps"

    def dead(self, subscription: str) -> str:
        """Return the key of a subscription's dead letters."""
        return f"{self.tag}:dead:{subscription}"

    @property
    def clock(self) -> str:
        """The key of the tenant's manual now."""
        return f"{self.tag}:clock"

    def ceiling(self, name: str) -> str:
        """Return the key of a tenant-wide limit's instants."""
        return f"{self.tag}:ceiling:{name}"

    def day(self, yyyymmdd: str) -> str:
        """Return the key of a calendar day's counts."""
        return f"{self.tag}:day:{yyyymmdd}"


def partition_number(lead_id: str, partitions: int) -> int:
    """Return the number of the partition that a lead belongs to, for good."""
    return 0 if partitions == 1 else crc32(lead_id.encode()) % partitions


def partition_of(tenant: str, lead_id: str, partitions: int) -> Partition:
    """Return the partition that a lead belongs to, for good."""
    return Partition(tenant, partition_number(lead_id, partitions))


def request_key(tenant: str, request_id: str) -> str:
    """Return the key of a mutating call's fingerprint."""
    return f"{{{tenant}/0}}:request:{request_id}"


def policy_key(tenant: str, version: str) -> str:
    """Return the key of a policy's source text."""
    return f"{{{tenant}/0}}:policy:{version}"


def model_key(tenant: str, version: str) -> str:
    """Return the key of an artifact that a tenant brought in."""
    return f"{{{tenant}/0}}:model:{version}"


def shipped_model_key(version: str) -> str:
    """Return the key of an artifact that a replica came with."""
    return f"keepwell:model:{version}"


def models_key(tenant: str) -> str:
    """Return the key of a tenant's model versions by when they came in."""
    return f"{{{tenant}/0}}:models"


def models_left_key(tenant: str) -> str:
    """Return the key of a tenant's model versions by when they stopped scoring last."""
    return f"{{{tenant}/0}}:models-left"


def model_active_key(tenant: str) -> str:
    """Return the key of what scores for a tenant, and what did before."""
    return f"{{{tenant}/0}}:model-active"


def drift_key(tenant: str, version: str, yyyymmdd: str) -> str:
    """Return the key of the leads that a model scored on a day, by bin."""
    return f"{{{tenant}/0}}:drift:{version}:{yyyymmdd}"
