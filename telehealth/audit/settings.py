"""The section `[audit]` of the configuration."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from telehealth.audit.cosignature import WitnessKey, parse_witness_key
from telehealth.audit.note import NoteInvalid


class Audit(BaseModel):
    """Where checkpoints are kept beside the log, who cosigns them, and how far behind they may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    publish_seconds: Annotated[int, Field(ge=1, le=10)] = 5  # between two publications of tiles and checkpoints
    closed_after_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300  # 0: recordings never wait for an anchor
    anchor_paths: tuple[Path, ...] = ()
    anchor_syslog: Annotated[str, Field(pattern=r"^(|unix:///.+|(udp|tcp|tls)://[^/\s:]+(:[0-9]{1,5})?)$")] = ""
    anchor_syslog_ca_file: Path | None = None  # of tls://; None: what the system trusts
    anchor_bucket: str = ""  # empty: no object storage
    anchor_region: str = "us-east-1"
    anchor_endpoint: str = ""  # empty: Amazon's own
    anchor_prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*$")] = "checkpoints/"
    anchor_lock_days: Annotated[int, Field(ge=1, le=36_500)] = 2557
    anchor_access_key_file: Path | None = None  # both or neither; neither: the machine's role
    anchor_secret_key_file: Path | None = None
    witness_url: str = ""  # empty: no witness
    witness_key: str = ""

    @field_validator("witness_key")
    @classmethod
    def _key(cls, line: str) -> str:
        if line:
            try:
                parse_witness_key(line)
            except NoteInvalid:
                raise ValueError("a witness's verifier key: name+id+base64") from None
        return line

    @property
    def witness(self) -> WitnessKey:
        """Raises NoteInvalid without one."""
        return parse_witness_key(self.witness_key)

    def faults(self) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        ours = ("https://", "http://127.0.0.1", "http://localhost")
        return [
            (bool(self.witness_url) != bool(self.witness_key), "audit.witness_url and audit.witness_key go together"),
            (bool(self.witness_url) and not self.witness_url.startswith(ours), "audit.witness_url must be https://"),
            (
                bool(self.anchor_endpoint) and not self.anchor_endpoint.startswith(ours),
                "audit.anchor_endpoint must be https://",
            ),
            (
                (self.anchor_access_key_file is None) != (self.anchor_secret_key_file is None),
                "audit.anchor_access_key_file and audit.anchor_secret_key_file go together",
            ),
        ]
