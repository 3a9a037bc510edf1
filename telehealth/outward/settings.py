"""The section `[outward]` of the configuration."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from telehealth.syslog import Address, is_loopback


class Outward(BaseModel):
    """Where entries go beside the log. What leaves is what a leaf carries; `details` adds what is sealed beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    json_file: str = ""  # JSON lines; "-": standard output; empty: off
    ecs_file: str = ""  # the same in ECS fields
    syslog: Annotated[str, Field(pattern=r"^(|(tls|tcp)://(\[[0-9a-fA-F:]+\]|[^/\s:\[\]]+)(:[0-9]{1,5})?)$")] = ""
    syslog_ca_file: Path | None = None  # None: what the system trusts
    syslog_certificate: Path | None = None  # ours, both or neither
    syslog_key: Path | None = None
    syslog_confirm_seconds: Annotated[int, Field(ge=1, le=300)] = 5  # between two confirmations by the collector
    syslog_resend_seconds: Annotated[int, Field(ge=0, le=3600)] = 60  # what is sent again after a connection was lost
    late_seconds: Annotated[int, Field(ge=5, le=86_400)] = 60  # a destination that far behind is an alarm
    details: bool = False  # address, device and free text leave too

    @property
    def collector(self) -> Address:
        return Address(self.syslog, self.syslog_ca_file, self.syslog_certificate, self.syslog_key)

    def faults(self) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        files = [name for name in (self.json_file, self.ecs_file) if name]
        clear = self.syslog.startswith("tcp://") and not is_loopback(self.collector.host)
        return [
            (clear, "outward.syslog must be tls:// beyond loopback"),
            (
                (self.syslog_certificate is None) != (self.syslog_key is None),
                "outward.syslog_certificate and outward.syslog_key go together",
            ),
            (len(set(files)) < len(files), "outward.json_file and outward.ecs_file must differ"),
        ]
