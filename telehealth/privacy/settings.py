"""The section `[privacy]` of the configuration, and what may leave without identifiers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

What = Literal["visits", "statistics"]
Purpose = Literal["quality", "research", "public_health", "legal"]


class Privacy(BaseModel):
    """How long the server knows who its patients are, and how small a number may be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity_days: Annotated[int, Field(ge=1, le=36_500)] = 365  # after the visit; then names, contacts … go
    smallest_cell: Annotated[int, Field(ge=1, le=1000)] = 11  # statistics leave out counts below, but 0
