"""What is counted."""

from prometheus_client import Counter

CONTACTS = Counter(
    "keepwell_delivery_contacts",
    "Attempts to contact somebody, by channel (or notice) and what became of them",
    ["channel", "result"],
)
SKIPPED = Counter("keepwell_delivery_skipped", "Interventions on channels that this worker does not serve", ["channel"])
OUTCOMES = Counter("keepwell_delivery_outcomes", "Outcomes reported, by the service's answer", ["answer"])
MISSED = Counter("keepwell_delivery_missed", "Decisions that retention removed before they were delivered")
