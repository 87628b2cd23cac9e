"""The model card: what the model is, what it was measured to do, and what nobody should believe of it."""

from typing import Any


def card(manifest: dict[str, Any]) -> str:
    """Return the card of an artifact as Markdown; every figure comes from its manifest."""
    test = manifest["metrics"]["test"]
    rows = "\n".join(_row(threshold, test[f"above_{threshold}"]) for threshold in (0.3, 0.6, 0.8))
    return f"""# Model card: {manifest["version"]}

CatBoost, 300 oblivious trees of depth 6, log loss, monotone in recency and engagement, Platt-scaled on later leads.
It gives the probability that a lead does nothing at all within the next {manifest["horizon_days"]} days.

**Data.** {manifest["simulated_leads"]:,} simulated leads (seed {manifest["seed"]}): a world with known rules, not your customers.
Trained on earlier snapshots, calibrated on later ones, tested on later ones still. Train your own before you rely on it.

| test leads | churned | AUC | recency alone | average precision | Brier | calibration error |
|--:|--:|--:|--:|--:|--:|--:|
| {test["leads"]:,} | {test["base_rate"]:.3f} | {test["auc"]:.3f} | {manifest["metrics"]["recency_only_auc"]:.3f} \
| {test["average_precision"]:.3f} | {test["brier"]:.3f} | {test["calibration_error"]:.3f} |

| above | leads | precision [95 %] | recall [95 %] |
|--:|--:|--|--|
{rows}

**Limits.** The thresholds 0.3, 0.6 and 0.8 do not carry over between portfolios. Precision at 0.8 says nothing without its recall.
Risk is not response: a lead at high risk is not thereby one whom contact helps.
"""


def _row(threshold: float, figures: dict[str, Any]) -> str:
    precision, recall = figures["precision"], figures["recall"]
    shown = "none above" if precision is None else f"{precision:.2f} {figures['precision_95']}"
    return f"| {threshold} | {figures['leads']:,} | {shown} | {recall:.2f} {figures['recall_95']} |"
