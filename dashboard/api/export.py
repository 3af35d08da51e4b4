"""Routes that export exactly what a list shows: the same filter, all pages, as CSV, JSON, JSON lines or Parquet."""

import csv
import io
import tempfile
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow
import pyarrow.parquet
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from dashboard.api.models import RolloutView
from dashboard.api.rollouts import Filter
from dashboard.api.service import Service
from dashboard.database.pages import RolloutFilter, all_rollouts

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
COLUMNS = tuple(
    name for name in RolloutView.model_fields if name not in ("parsed_json", "picture", "cancelling", "paused", "live")
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First letters of a text that spreadsheets would run as a formula."""


ARROW = {
    **dict.fromkeys(("success", "human"), pyarrow.bool_()),
    **dict.fromkeys(("reward", "seconds"), pyarrow.float64()),
    **dict.fromkeys(("iteration", "member", "steps", "policy_version", "priority", "tries"), pyarrow.int64()),
}
"""Types of the columns of Parquet that are no texts."""
SCHEMA = pyarrow.schema([(name, ARROW.get(name, pyarrow.string())) for name in COLUMNS])
ROW_GROUP = 10_000


def export_router(service: Service) -> APIRouter:
    """Routes below /api/export."""
    router = APIRouter(prefix="/api/export", tags=["export"])

    @router.get("/rollouts.{kind}", response_class=StreamingResponse)
    def export(kind: Literal["csv", "json", "jsonl", "parquet"], wanted: Filter) -> StreamingResponse:
        """Returns the rollouts that pass the filter as a file, streamed."""
        write = {"csv": _csv, "json": _json, "jsonl": _lines, "parquet": _parquet}[kind]
        headers = {"content-disposition": f'attachment; filename="rollouts.{kind}"', "cache-control": "no-store"}
        return StreamingResponse(write(service, wanted), media_type=TYPES[kind], headers=headers)

    return router


def _rows(service: Service, wanted: RolloutFilter) -> Generator[RolloutView]:
    with service.database.read() as session:
        for row in all_rollouts(session, wanted):
            yield RolloutView.of(row)


def _csv(service: Service, wanted: RolloutFilter) -> Generator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for row in _rows(service, wanted):
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> object:
    """A cell that no spreadsheet runs: texts were written by pages and models."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _lines(service: Service, wanted: RolloutFilter) -> Generator[str]:
    for row in _rows(service, wanted):
        yield f"{row.model_dump_json()}\n"


def _json(service: Service, wanted: RolloutFilter) -> Generator[str]:
    separator = "["
    for row in _rows(service, wanted):
        yield f"{separator}{row.model_dump_json()}"
        separator = ",\n"
    yield "[]" if separator == "[" else "]\n"


def _parquet(service: Service, wanted: RolloutFilter) -> Generator[bytes]:
    """A Parquet file, written to a temporary file first, because its index is at its end."""
    rows = _rows(service, wanted)
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        path = Path(folder) / "rollouts.parquet"
        with pyarrow.parquet.ParquetWriter(path, SCHEMA) as writer:
            while batch := [row.model_dump(mode="json", include=set(COLUMNS)) for row in islice(rows, ROW_GROUP)]:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=SCHEMA))
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                yield part
