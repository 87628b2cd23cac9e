"""Decisions as a Parquet table: everything that the log holds of them, and beside it what an analyst would filter by."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from keepwell.v1 import decision_pb2

from server.feed.token import order
from server.store.entry import LogEntry

ROWS_A_GROUP = 1_024
SCHEMA = pa.schema(
    [
        pa.field("log_ms", pa.int64(), nullable=False),
        pa.field("log_sequence", pa.int64(), nullable=False),
        pa.field("decision_id", pa.string(), nullable=False),
        pa.field("lead_id", pa.string(), nullable=False),
        pa.field("decided_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("churn_probability", pa.float64(), nullable=False),
        pa.field("channels", pa.list_(pa.string()), nullable=False),
        pa.field("escalated", pa.bool_(), nullable=False),
        pa.field("policy_version", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("decision", pa.binary(), nullable=False),  # keepwell.v1.Decision without its trace
        pa.field("hits", pa.binary(), nullable=False),  # policy version and the rules that hit
        pa.field("inputs", pa.binary(), nullable=False),  # what it was decided from (server/store/record.py)
        pa.field("previous", pa.string(), nullable=False),  # log id of the lead's decision before
    ]
)
ENTRY_COLUMNS = ["log_ms", "log_sequence", "decision", "hits", "inputs", "previous"]


def _row(entry: LogEntry) -> dict[str, Any]:
    message = decision_pb2.Decision.FromString(entry.decision)
    assessment = message.assessment
    log_ms, log_sequence = order(entry.log_id)
    return {
        "log_ms": log_ms,
        "log_sequence": log_sequence,
        "decision_id": message.decision_id,
        "lead_id": message.lead_id,
        "decided_at": message.decided_at.ToMilliseconds(),
        "verdict": _word(decision_pb2.Verdict.Name(message.verdict), "VERDICT_"),
        "stage": _word(decision_pb2.InterventionStage.Name(assessment.stage), "INTERVENTION_STAGE_"),
        "churn_probability": assessment.churn_probability,
        "channels": [
            _word(decision_pb2.InterventionChannel.Name(action.channel), "INTERVENTION_CHANNEL_")
            for action in message.interventions
        ],
        "escalated": message.HasField("escalation"),
        "policy_version": message.policy_version,
        "model_version": message.model_version,
        "decision": entry.decision,
        "hits": entry.hits,
        "inputs": entry.inputs,
        "previous": entry.previous,
    }


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def write_file(path: Path, entries: Sequence[LogEntry]) -> None:
    """Write a file that is there wholly or not at all, whenever this process or its machine dies."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # inputs are personal data
    unfinished = path.with_name(f".{path.name}.unfinished")  # Parquet readers leave out what starts with a dot
    table = pa.Table.from_pylist([_row(entry) for entry in entries], schema=SCHEMA)
    with unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=ROWS_A_GROUP)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    for folder in (path.parent, path.parent.parent):
        _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_entries(path: Path, wanted: Iterable[tuple[str, str, Any]]) -> list[LogEntry]:
    """Return a file's entries that meet every condition (column, operator, value)."""
    table = pq.read_table(path, columns=ENTRY_COLUMNS, filters=list(wanted), partitioning=None)
    return [
        LogEntry(f"{row['log_ms']}-{row['log_sequence']}", row["decision"], row["hits"], row["inputs"], row["previous"])
        for row in table.to_pylist()
    ]
