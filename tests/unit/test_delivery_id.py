import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.feed.delivery_id import DeliveryIdInvalidError, open_delivery, seal_delivery
from server.store.subscriptions import Settlement

KEY = bytes(range(32))
DELIVERY = Settlement(1_795_572_623_685_803, "1795572623682-0", 2)
deliveries = st.builds(
    Settlement,
    st.integers(0, 2**53),
    st.one_of(st.just(""), st.builds("{}-{}".format, st.integers(0, 2**47), st.integers(0, 2**63))),
    st.integers(1, 100),
)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)


@given(deliveries, names)
def test_an_id_names_the_delivery_that_it_was_made_for(delivery: Settlement, subscription: str) -> None:
    sealed = seal_delivery(KEY, "tenant", subscription, delivery)
    assert open_delivery(KEY, "tenant", subscription, sealed) == delivery


@given(st.data())
def test_an_id_with_any_bit_changed_is_refused(data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(seal_delivery(KEY, "tenant", "mail", DELIVERY)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DeliveryIdInvalidError):
        open_delivery(KEY, "tenant", "mail", base64.urlsafe_b64encode(bytes(raw)).decode())


@pytest.mark.parametrize(
    ("key", "tenant", "subscription"),
    [(bytes(32), "tenant", "mail"), (KEY, "other", "mail"), (KEY, "tenant", "other")],
)
def test_an_id_of_another_store_tenant_or_subscription_is_refused(key: bytes, tenant: str, subscription: str) -> None:
    with pytest.raises(DeliveryIdInvalidError):
        open_delivery(key, tenant, subscription, seal_delivery(KEY, "tenant", "mail", DELIVERY))


@pytest.mark.parametrize("text", ["", "nothing", "ä", "AAAA", "=" * 40])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(DeliveryIdInvalidError):
        open_delivery(KEY, "tenant", "mail", text)
