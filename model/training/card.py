"""The model card: what the model is, what it was measured to do, and what nobody should believe of it."""

from pathlib import Path
from typing import Any

from model.metrics import THRESHOLDS
from model.training.card_times import time_to_churn

TITLES = {"model": "the model", "bg_nbd": "BG/NBD", "recency_only": "recency alone"}
REAL_DATA = Path(__file__).with_name("real_data.md")  # written by `python -m tests.benchmark.real_data --write`
SHOWN_SILENCES = (7, 14, 30, 42, 60, 90, 120, 180)


def card(manifest: dict[str, Any]) -> str:
    """Return the card of an artifact as Markdown; every figure of the artifact comes from its manifest."""
    test = manifest["metrics"]["test"]
    recipe = manifest["recipe"]
    figures = "\n".join(_figures(name, part) for name, part in measured(manifest).items())
    rows = "\n".join(_row(threshold, test[f"above_{threshold}"], test["leads"]) for threshold in THRESHOLDS)
    return f"""# Model card: {manifest["version"]}

CatBoost, {recipe["trees"]} oblivious trees, log loss, {_monotone(manifest)}, calibration: {manifest["calibration"]["method"]}.
It gives the probability that a lead {"leaves" if manifest["data"].get("churn_event") else "does nothing at all"} \
within the next {manifest["horizon_days"]} days.

**Data.** {described(manifest)}

**Measured** on {test["leads"]:,} rows of {test["distinct_leads"]:,} leads, of whom {test["base_rate"]:.3f} churned; in brackets 95 % \
intervals over whole leads.

| | AUC | average precision | Brier | calibration error |
|---|--:|--:|--:|--:|
{figures}

| above | share of leads | precision [95 %] | recall [95 %] |
|--:|--:|--|--|
{rows}
{_silence(manifest)}
{time_to_churn(manifest["time_to_churn"], manifest["horizon_days"])}

{_real_data(manifest)}**Limits.** {limits(manifest)}
"""


def measured(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures by what a reader calls it: the model's, then the baselines'."""
    parts = {"model": manifest["metrics"]["test"], **manifest["metrics"]["baselines"]}
    return {TITLES[name]: part for name, part in parts.items()}


def described(manifest: dict[str, Any]) -> str:
    """Return what it was trained and tested on, in sentences."""
    data = manifest["data"]
    if data["source"] == "simulator":
        first = f"{data['leads']:,} simulated leads (seed {manifest['seed']}): a world with known rules, not your customers."
    else:
        first = f"{data['file']} ({data['source']}), {data['rows']:,} rows to train on."
    if data.get("split") == "at random":
        return f"{first} The table has no dates: leads were split at random, and the figures say nothing about later months."
    return (
        f"{first} On each test day the model was made anew from what was known by then, and compared with what happened in the horizon "
        "after it; the model of this artifact was made in the same way from everything."
    )


def limits(manifest: dict[str, Any]) -> str:
    """Return what the figures do not say."""
    own = "Train your own before you rely on it. " if manifest["data"]["source"] == "simulator" else ""
    return (
        f"{own}The thresholds 0.3, 0.6 and 0.8 do not carry over between portfolios. Precision at 0.8 says nothing without its recall. "
        "Risk is not response: a lead at high risk is not thereby one whom contact helps."
    )


def _real_data(manifest: dict[str, Any]) -> str:
    """Return what the same training gave on real data, for the model that has only seen simulated leads; others have figures of their own."""
    return f"{REAL_DATA.read_text()}\n" if manifest["data"]["source"] == "simulator" else ""


def _monotone(manifest: dict[str, Any]) -> str:
    return "monotone in recency and engagement" if manifest["monotone"] else "without monotone constraints"


def _figures(name: str, part: dict[str, Any]) -> str:
    cells = [interval(part, figure) for figure in ("auc", "average_precision", "brier", "calibration_error")]
    return f"| {name} | {' | '.join(cells)} |"


def interval(part: dict[str, Any], figure: str) -> str:
    """Return a figure with its interval."""
    low, high = part[f"{figure}_95"]
    return f"{part[figure]:.3f} [{low:.3f}, {high:.3f}]"


def _row(threshold: float, figures: dict[str, Any], leads: int) -> str:
    return f"| {threshold} | {' | '.join(above(figures, leads))} |"


def above(figures: dict[str, Any], leads: int) -> list[str]:
    """Return what lies above a threshold: the share of leads, precision, recall."""
    share = f"{figures['leads'] / leads:.3f}"
    if figures["precision"] is None:
        return [share, "none above", "0"]
    low, high = figures["precision_95"]
    from_, to = figures["recall_95"]
    return [
        share,
        f"{figures['precision']:.2f} [{low:.2f}, {high:.2f}]",
        f"{figures['recall']:.2f} [{from_:.2f}, {to:.2f}]",
    ]


def _silence(manifest: dict[str, Any]) -> str:
    silence = manifest["silence"]
    if silence is None:
        return ""
    known = [days for days in SHOWN_SILENCES if days <= len(silence["returned"])]
    shares = " | ".join(f"{silence['returned'][days - 1]:.2f}" for days in known)
    return f"""
**Silence.** Asked about are leads active within the last {silence["days"]} days. After so many silent days, the share that returned within
{silence["horizon_days"]} days:

| {" | ".join(f"{days} d" for days in known)} |
|{"--:|" * len(known)}
| {shares} |
"""
