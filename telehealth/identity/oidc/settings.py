"""The section `[sso]` of the configuration."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(max_length=200)]
Values = Annotated[tuple[Text, ...], Field(max_length=50)]
StaffRole = Literal["admin", "clinician", "auditor", "front_desk"]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Sso(BaseModel):
    """One provider (OpenID Connect Core 1.0, code flow with PKCE); an empty issuer: no single sign-on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Text = ""
    client_id: Text = ""
    client_secret_file: Path | None = None  # None: a public client, by PKCE alone
    name: Annotated[str, StringConstraints(max_length=40)] = ""  # on the button
    ca_file: Path | None = None  # None: what the system trusts
    timeout_seconds: Annotated[float, Field(ge=1, le=30)] = 5.0
    scopes: Values = ("profile",)  # beside openid
    role_claim: Text = "roles"
    roles: dict[Text, StaffRole] = Field(default_factory=dict, max_length=100)  # empty: roles are given here
    mfa_acr: Values = ()
    mfa_amr: Values = ()
    provision: bool = False
    login_claim: Text = "preferred_username"

    @property
    def on(self) -> bool:
        return bool(self.issuer)

    def faults(self) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        return [
            (self.on != bool(self.client_id), "sso.issuer and sso.client_id go together"),
            (self.on and not safe(self.issuer), "sso.issuer must be https://, without query or fragment"),
            (self.provision and not self.roles, "sso.provision needs sso.roles: who is what"),
        ]


def safe(url: str, *, loopback: bool = True) -> bool:
    """Whether we would talk to this address: https, or http on this machine; no credentials, no fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or port == 0 or parts.username is not None or parts.fragment or len(url) > 2000:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK)
