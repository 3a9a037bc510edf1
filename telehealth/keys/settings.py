"""The section `[keys]` of the configuration."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field


class Keys(BaseModel):
    """Who holds the keys that wrap all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Literal["file", "vault", "pkcs11", "awskms"] = "file"
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "telehealth-"  # before each key's name there
    timeout_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    rotate_days: Annotated[int, Field(ge=1, le=366)] = 91
    retire_days: Annotated[int, Field(ge=0, le=3650)] = 30  # an old wrapping key outlives its successor's birth so long
    provider_backup_days: Annotated[int, Field(ge=0, le=3650)] = 0  # greatest age of a copy of the provider's storage
    vault_url: str = ""  # of Vault or OpenBao
    vault_mount: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "transit"
    vault_token_file: Path | None = None
    vault_ca_file: Path | None = None
    pkcs11_module: Path | None = None
    pkcs11_token: str = ""  # its label
    pkcs11_pin_file: Path | None = None
    aws_region: str = ""
    aws_endpoint: str = ""  # empty: AWS's own
    aws_deletion_days: Annotated[int, Field(ge=7, le=30)] = 7

    @property
    def provider_days(self) -> int:
        """How long a copy of the provider, or the provider itself, may still give a destroyed key back."""
        return max(self.provider_backup_days, self.aws_deletion_days if self.provider == "awskms" else 0)

    def faults(self, backup_days: int) -> list[tuple[bool, str]]:
        """What the chosen provider lacks."""
        chosen = self.provider
        return [
            (
                chosen == "vault" and not (self.vault_url and self.vault_token_file),
                "keys.provider vault needs keys.vault_url and keys.vault_token_file",
            ),
            (
                bool(self.vault_url) and not _secured(self.vault_url),
                "keys.vault_url must be https, or http on loopback",
            ),
            (
                chosen == "pkcs11" and not (self.pkcs11_module and self.pkcs11_token and self.pkcs11_pin_file),
                "keys.provider pkcs11 needs keys.pkcs11_module, keys.pkcs11_token and keys.pkcs11_pin_file",
            ),
            (chosen == "awskms" and not self.aws_region, "keys.provider awskms needs keys.aws_region"),
            (
                bool(self.aws_endpoint) and not _secured(self.aws_endpoint),
                "keys.aws_endpoint must be https, or http on loopback",
            ),
            (
                chosen == "awskms" and backup_days < self.aws_deletion_days,
                "recording.backup_days must cover keys.aws_deletion_days: KMS can be made to give a key back so long",
            ),
        ]


def _secured(url: str) -> bool:
    """https, or plain http that never leaves this machine."""
    parts = urlsplit(url)
    loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and loopback))
