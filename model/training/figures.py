"""Curves of a report as PNG: reliability, gain, and the return curve. The same figures give the same bytes."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray
from model.training.intervals import share_95
from model.training.silence import MOST_RETURN, ReturnCurve

BINS = 10
SIZE_INCHES, DOTS_PER_INCH = (5.2, 4.2), 110
BLUE, GREY, ORANGE = "#2563a8", "#8a8f98", "#c8641e"


def _drawn(draw: Callable[[Any], None], x_label: str, y_label: str) -> bytes:
    """Return a PNG; the figure is its own, so no state of matplotlib's is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e8eb", linewidth=0.7)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5)
    out = BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(out, metadata={"Software": None})
    return out.getvalue()


def reliability(score: FloatArray, churned: NDArray[np.bool_], leads: NDArray[np.int64]) -> bytes:
    """Return observed against predicted churn over ten equally filled bins, with intervals over leads, above the scores' histogram."""
    bins = [part for part in np.array_split(np.argsort(score, kind="stable"), BINS) if len(part)]
    predicted = np.array([score[part].mean() for part in bins])
    observed = np.array([churned[part].mean() for part in bins])
    bounds = np.array([share_95(churned[part], leads[part]) for part in bins]).T

    def draw(axes: Any) -> None:
        shares, edges = np.histogram(score, bins=20, range=(0, 1))
        axes.bar(
            edges[:-1], shares / shares.max() * 0.25, width=0.05, align="edge", color="#dbe5f0", label="leads, by score"
        )
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="calibrated")
        errors = [np.maximum(observed - bounds[0], 0), np.maximum(bounds[1] - observed, 0)]
        axes.errorbar(
            predicted, observed, yerr=errors, color=BLUE, marker="o", markersize=4, capsize=2, label="measured, 95 %"
        )
        axes.set(xlim=(0, 1), ylim=(0, 1))

    return _drawn(draw, "predicted churn probability", "share that churned")


def gain(scores: dict[str, FloatArray], churned: NDArray[np.bool_]) -> bytes:
    """Return the share of all churners found among the leads of highest risk, by name of what ranks them."""
    share = np.arange(len(churned) + 1) / len(churned)

    def draw(axes: Any) -> None:
        for (name, score), colour in zip(scores.items(), (BLUE, ORANGE, GREY), strict=False):
            ranked = churned[np.argsort(-score, kind="stable")]
            axes.plot(share, np.append(0, np.cumsum(ranked)) / ranked.sum(), color=colour, linewidth=1.6, label=name)
        axes.plot([0, float(churned.mean()), 1], [0, 1, 1], color="#bcc1c8", linewidth=1, label="perfect")
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="at random")
        axes.set(xlim=(0, 1), ylim=(0, 1))

    return _drawn(draw, "share of leads, highest risk first", "share of churners among them")


def returning(curve: ReturnCurve, silence_days: int) -> bytes:
    """Return the return curve, and the silence length that was used."""

    def draw(axes: Any) -> None:
        days = np.arange(1, len(curve.returned) + 1)
        axes.plot(days, curve.returned, color=BLUE, linewidth=1.6, label=f"return within {curve.horizon_days} days")
        axes.axhline(MOST_RETURN, color=GREY, linewidth=1, linestyle="--", label=f"{MOST_RETURN:g}")
        axes.axvline(silence_days, color=ORANGE, linewidth=1.2, label=f"silence length: {silence_days} days")
        axes.set(xlim=(0, min(len(days), 3 * silence_days)), ylim=(0, 1))

    return _drawn(draw, "days of silence", "share that returns")
