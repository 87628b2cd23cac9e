"""What the service counts of itself, for Prometheus. A gauge says what several processes come to as one (`metrics_page.py`)."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("keepwell_decisions", "Decisions committed.")
CONFLICTS = Counter("keepwell_commit_refusals", "Commits that had to be decided again.", ["reason"])
BATCH_LEADS = Histogram("keepwell_batch_jobs", "Jobs in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))
EVENTS = Counter("keepwell_events", "Events of leads, by what became of them.", ["result"])
OUTCOMES = Counter("keepwell_outcomes", "Outcomes of interventions that were noted.", ["outcome", "channel"])
OUTCOME_REPORTS = Counter("keepwell_outcome_reports", "Reports of outcomes, by what became of them.", ["result"])
CONTACTS_GIVEN_BACK = Counter(
    "keepwell_contacts_given_back", "Contacts that were not sent and no longer count.", ["channel"]
)
ESCALATION_STEPS = Counter("keepwell_escalation_steps", "Steps of escalations after they were raised.", ["step"])
REVIEWS = Counter(
    "keepwell_reviews", "Reviews that fell due: decided, quiet, or put off to be taken again.", ["result"]
)
ASSESSMENTS = Counter(
    "keepwell_assessments", "Assessments by the model: scored, or reused as nothing changed.", ["result"]
)
FAILED_JOBS = Counter("keepwell_failed_jobs", "Jobs of one lead that failed by a fault of ours.")
LOST_LINES = Counter("keepwell_log_lines_lost", "Lines of the log that could not be written.")
RPCS = Counter("keepwell_rpcs", "Calls by method and status.", ["method", "code"])
WATCHERS = Gauge("keepwell_watchers", "Open feed streams.", multiprocess_mode="livesum")
CONSUMERS = Gauge("keepwell_consumers", "Open subscription streams.", multiprocess_mode="livesum")
DELIVERIES = Counter("keepwell_deliveries", "Deliveries of subscriptions, by what became of them.", ["result"])
FEED_MISSED = Counter(
    "keepwell_feed_missed", "Decisions that retention removed before a subscription acknowledged them."
)
TRIMMED = Counter("keepwell_log_trimmed", "Decisions that retention removed from the log.")
ENGINE_FAULTS = Counter("keepwell_engine_faults", "Rule evaluations that failed closed.")
MODEL_LOADS = Counter("keepwell_model_loads", "Models that were to score: loaded, or refused.", ["result"])
MODELS_BEHIND = Gauge(
    "keepwell_models_behind", "Tenants whose active model this replica cannot load.", multiprocess_mode="livemax"
)
MODEL_DRIFT = Gauge(
    "keepwell_model_drift_psi",
    "Population stability index of scored leads against the training snapshot; above 0.25 it is another population.",
    ["tenant", "version", "feature"],
    multiprocess_mode="mostrecent",
)
