"""The card tells what was measured, each figure from one place."""

import pytest

from model.scorer import read_manifest
from model.training.card import REAL_DATA, card
from model.training.card_times import time_to_churn
from server.models import SHIPPED


def test_the_shipped_card_is_what_its_manifest_and_the_figures_on_real_data_give() -> None:
    assert (SHIPPED / "CARD.md").read_text() == card(read_manifest(SHIPPED))


def test_the_shipped_card_shows_what_such_a_model_is_worth_on_real_data() -> None:
    text = (SHIPPED / "CARD.md").read_text()
    assert REAL_DATA.read_text() in text
    for name in ("CDNOW", "Online Retail II", "Telco", "bank", "MLC telecom", "Iranian telecom", "X Education"):
        assert f"| {name}" in text


def test_a_model_of_one_s_own_data_shows_its_own_figures_alone() -> None:
    manifest = read_manifest(SHIPPED)
    data = {**manifest["data"], "source": "events", "file": "log.csv"}
    assert "Online Retail II" not in card({**manifest, "data": data})


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        ([0.011, 0.0001, 0.02], "better than that of Cox: +0.011 [+0.000, +0.020]"),
        ([0.011, 0.0, 0.02], "not better beyond chance than that of Cox: +0.011 [+0.000, +0.020]"),
        ([-0.011, -0.02, 0.0], "not better beyond chance than that of Cox: -0.011 [-0.020, +0.000]"),
        ([-0.011, -0.02, -0.0001], "worse than that of Cox: -0.011 [-0.020, -0.000]"),
    ],
)
def test_a_lead_over_cox_is_called_one_only_where_its_interval_is_all_above_nothing(
    lead: list[float], words: str
) -> None:
    times = read_manifest(SHIPPED)["time_to_churn"]
    times["metrics"]["concordance_lead"]["cox"] = lead
    assert f"Its concordance is {words}; " in time_to_churn(times, 30)
