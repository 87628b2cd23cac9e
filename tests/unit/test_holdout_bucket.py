"""A lead's place among those held out is for ever: what it was computed as first is what it stays."""

import pytest

from server.road.situation import holdout_bucket


@pytest.mark.parametrize(
    ("tenant", "lead_id", "place"),
    [
        ("acme", "lead-1", "0x1.6e91c335f55afp+6"),
        ("t", "lead-00042", "0x1.388d6d5b0154fp+6"),
        ("", "", "0x1.7c446dc76be84p+6"),
        ("mieter", "käufer/1", "0x1.1d15f9cfdafa1p+6"),
        ("t", "l" * 300, "0x1.69c1ee78c4f49p+6"),
    ],
)
def test_a_leads_place_stays_to_the_last_bit(tenant: str, lead_id: str, place: str) -> None:
    assert holdout_bucket(tenant, lead_id) == float.fromhex(place)
