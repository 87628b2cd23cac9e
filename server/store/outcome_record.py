"""Outcomes, and what is known of interventions, as bytes and back: MessagePack arrays of the tuples here, which may only grow at their ends."""

from typing import NamedTuple

from msgspec.msgpack import Decoder, Encoder

from rules.outcome import Standing


class Grant(NamedTuple):
    """What the decision log says of an intervention; `ceilings` are the tenant-wide limits that it took a unit of, by name and lifetime."""

    channel: int
    playbook: str
    stage: int
    cost: float
    currency: str
    policy_version: str
    granted_at: int
    ceilings: tuple[tuple[str, int], ...] = ()


class OutcomeEntry(NamedTuple):
    """One outcome as its log keeps it, with what it takes to measure by it once the decision has left the decision log.

    `report` is the bytes of `keepwell.v1.Outcome`; `grant` is None when the decision log no longer held the decision.
    """

    report: bytes
    lead_id: str
    channel: int
    grant: Grant | None
    reported_at: int
    given_back: bool
    taken_again: bool


_encode = Encoder().encode
_decode_outcome = Decoder(OutcomeEntry).decode
_decode_standing = Decoder(Standing).decode


def encode_outcome(entry: OutcomeEntry) -> bytes:
    """Return an outcome as its log keeps it."""
    return _encode(entry)


def decode_outcome(data: bytes) -> OutcomeEntry:
    """Return the outcome that `encode_outcome` made."""
    return _decode_outcome(data)


def encode_standing(standing: Standing) -> bytes:
    """Return what is known of an intervention as the store keeps it."""
    return _encode(standing)


def decode_standing(data: bytes | None) -> Standing:
    """Return what `encode_standing` kept; nothing known for None."""
    return Standing() if data is None else _decode_standing(data)
