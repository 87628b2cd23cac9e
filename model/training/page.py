"""The report as one HTML page that needs nothing else: the card's figures, and the curves."""

from base64 import b64encode
from html import escape
from typing import Any

import numpy as np

from model.metrics import THRESHOLDS
from model.training.card import above, described, interval, limits, measured

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 62rem; margin: 2.5rem auto; padding: 0 1.5rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem } code { font-size: .85em; color: #5b6570 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th, td { padding: .3rem .9rem; border-bottom: 1px solid #e3e6ea }
th { font-weight: 600; text-align: left } td + td, th + th { text-align: right } figure { display: inline-block; margin: 0 1rem 1rem 0 }
figcaption { color: #5b6570; font-size: .9rem; max-width: 28rem } img { max-width: 28rem }
"""
CAPTIONS = {
    "reliability.png": "Reliability: in each tenth of the leads, the predicted probability and the share that churned.",
    "gain.png": "Gain: contact the leads of highest risk first, and reach so many of the churners.",
    "return_curve.png": "Return curve: after a silence of so many days, the share that comes back within the horizon.",
}
FIGURES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier",
    "calibration_error": "calibration error",
}


def page(manifest: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """Return the report of an artifact; `pictures` are PNGs by file name."""
    test = manifest["metrics"]["test"]
    comparison = [[name, *(interval(part, figure) for figure in FIGURES)] for name, part in measured(manifest).items()]
    thresholds = [[f"{each}", *above(test[f"above_{each}"], test["leads"])] for each in THRESHOLDS]
    candidates = [[name, f"{value:.5f}"] for name, value in manifest["recipe"]["briers"].items()]
    days = [
        [
            f"{part['day']}",
            f"{part['leads']:,}",
            *(f"{part[name]:.3f}" for name in ("base_rate", "mean_score", *FIGURES)),
        ]
        for part in test["by_day"]
    ]
    curves = "".join(
        f'<figure><img alt="{CAPTIONS[name]}" src="data:image/png;base64,{b64encode(picture).decode()}">'
        f"<figcaption>{CAPTIONS[name]}</figcaption></figure>"
        for name, picture in pictures.items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Model {manifest["version"]}</title><style>{STYLE}</style>
<h1>How good this model is</h1>
<p><code>{manifest["version"]}</code></p>
<p>{escape(described(manifest))}</p>
<p>{test["leads"]:,} test rows of {test["distinct_leads"]:,} leads; {test["base_rate"]:.1%} churned, the mean prediction was
{test["mean_score"]:.1%}. In brackets: 95 % intervals over whole leads.</p>
<h2>Against the baselines</h2>
{_table(["", *FIGURES.values()], comparison)}
<h2>Above a threshold</h2>
{_table(["churn probability above", "share of leads", "precision", "recall"], thresholds)}
<h2>Over time</h2>
{_table(["test day", "leads", "churned", "mean prediction", *FIGURES.values()], days)}
<h2>Curves</h2>
{curves}
<h2>How to train was chosen by the Brier score, one horizon before the end</h2>
{_table(["candidate", "Brier score"], candidates)}
<h2>Limits</h2>
<p>{escape(limits(manifest))}</p>
</html>
"""


def _when(manifest: dict[str, Any], day: int) -> str:
    first = manifest["data"].get("first_date")
    return str(np.datetime64(first, "D") + day) if first else f"{day}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{cells}</tr>\n{body}</table>"
