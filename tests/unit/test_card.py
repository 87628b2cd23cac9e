"""The card tells what was measured, each figure from one place."""

from model.scorer import read_manifest
from model.training.card import REAL_DATA, card
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
