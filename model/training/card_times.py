"""The model card's part about the time to churn: what the second model is, and what it is worth beside simpler ones."""

from typing import Any

from model.survival.comparison import RANKING

MODELS = {
    "hazard": "hazard",
    "cox": "Cox",
    "recency": "recency alone",
    "kaplan_meier": "Kaplan-Meier, the same for all",
}
FIGURES = ("concordance", "ipcw_concordance", "integrated_brier", "brier_60")


def time_to_churn(times: dict[str, Any], horizon_days: int) -> str:
    """Return the section as Markdown, from the manifest's `time_to_churn`."""
    found, reason = times["metrics"], times["no_estimate_reason"]
    if found is None:
        return f"**Time to churn.** None is estimated: {reason}."
    served = f"None is served: {reason}." if reason else "It is served."
    rows = "\n".join(_row(name, found["models"][name]) for name in MODELS)
    return f"""**Time to churn** is a second model, and need not agree with the probability: that one is about the next \
{horizon_days} days, this one about when a silence of {times["silence_days"]} days begins (0: it has begun by now). CatBoost hazards over \
periods of {times["period_days"]} days to {times["horizon_days"]}, 100 trees of depth 4, against simpler models on {found["test_leads"]:,} \
later snapshots of leads that no model has seen ({found["test_left"]:.0%} seen to leave), measured to day {found["measured_days"]}. {served}

| model | concordance | weighted for censoring | integrated Brier | Brier at 60 days |
|---|--:|--:|--:|--:|
{rows}

{_worth(found, times["horizon_days"])}"""


def _row(name: str, figures: dict[str, float]) -> str:
    shown = [f"{figures[key]:.3f}" if key in figures else "-" for key in FIGURES]
    return f"| {MODELS[name]} | {' | '.join(shown)} |"


def _lead(name: str, lead: float, low: float, high: float) -> str:
    """Return how a concordance compares with another model's, in words."""
    word = "better than" if low > 0 else "worse than" if high < 0 else "not better beyond chance than"
    return f"{word} that of {MODELS[name]}: {lead:+.3f} [{low:+.3f}, {high:+.3f}]"


def _worth(found: dict[str, Any], horizon_days: int) -> str:
    gain, low, high = found["gain_over_kaplan_meier"]
    coverage = "not measured" if found["band_coverage"] is None else f"{found['band_coverage']:.2f}"
    leads = "; ".join(_lead(name, *found["concordance_lead"][name]) for name in RANKING)
    return f"""Its concordance is {leads} (95 %, whole leads drawn). Its integrated Brier score is lower than \
Kaplan-Meier's by {gain} [{low}, {high}] (95 %, rows of a lead as one). The 10-90 % band held {coverage} of those who were watched to the end \
(more than .80, since both of its ends are often open: left already, or beyond {horizon_days} days); {found["median_known"]:.0%} have a median \
within {horizon_days} days."""
