"""The section `[privacy]` of the configuration."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Privacy(BaseModel):
    """How long the server knows who its patients are, and how small a number may be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity_days: Annotated[int, Field(ge=1, le=36_500)] = 365  # after the visit; then names, contacts … go
    smallest_cell: Annotated[int, Field(ge=1, le=1000)] = 11  # statistics leave out counts below, but 0
