"""Exports as pages and programs see them."""

from dataclasses import dataclass
from datetime import datetime

from recordings.export.ledger import ExportRow
from recordings.export.states import State

_MIME = {"webm": "video/webm", "mp4": "video/mp4"}
AGE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ExportView:
    """`progress`: 0 to 1 while it is made; `bytes`: of the download, once ready; `failure`: a code."""

    id: str
    recording: str
    state: str
    progress: float
    failure: str | None
    format: str
    protection: str
    recipient: str | None
    purpose: str
    asked_by: str
    for_patient: bool
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None
    bytes: int
    milliseconds: int
    downloads: int
    name: str


def view(row: ExportRow, progress: float) -> ExportView:
    """`progress`: of the worker, 0 where there is none."""
    return ExportView(
        id=row.id,
        recording=row.recording,
        state=row.state,
        progress=1.0 if row.state is State.READY else progress,
        failure=row.failure,
        format=row.format,
        protection=row.protection,
        recipient=row.recipient,
        purpose=row.purpose,
        asked_by=row.asked_by,
        for_patient=row.copy is not None,
        created_at=row.created_at,
        ended_at=row.ended_at,
        expires_at=row.expires_at,
        bytes=row.size,
        milliseconds=row.milliseconds,
        downloads=row.downloads,
        name=file_name(row),
    )


def file_name(row: ExportRow) -> str:
    """What the download is called: ids, never a name of anybody."""
    return f"{row.recording}.{row.format}" + ("" if row.protection == "plain" else ".age")


def mime(row: ExportRow) -> str:
    """The media type of the download."""
    return _MIME[row.format] if row.protection == "plain" else AGE
