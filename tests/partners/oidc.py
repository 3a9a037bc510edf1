"""A real OpenID provider (npm `oidc-provider`) run by node."""

import urllib.request
from pathlib import Path

from tests.partners.process import Partner, free_port

SCRIPT = Path(__file__).with_name("oidc.mjs")
CLIENT, SECRET = "telehealth", "a-secret-for-tests-alone-and-nothing-else"


class OidcProvider:
    """One provider, which knows one client: us at `url`."""

    def __init__(self, folder: Path, url: str, channel: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.secret_file = folder / "sso.secret"
        self.secret_file.write_text(SECRET)
        words = [str(self.port), f"{url}/sso", f"{url}/", f"{channel}/api/v1/sso/back-channel", CLIENT, SECRET]
        self._partner = Partner(["node", str(SCRIPT), *words], folder / "oidc.log")
        try:
            self._partner.wait(self._ready)
        except BaseException:
            self.stop()
            raise

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.issuer}/.well-known/openid-configuration", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def settings(self) -> dict[str, str]:
        """Of our own server, as its environment takes them."""
        return {
            "SSO__ISSUER": self.issuer,
            "SSO__CLIENT_ID": CLIENT,
            "SSO__CLIENT_SECRET_FILE": str(self.secret_file),
            "SSO__NAME": "Hospital login",
            "SSO__MFA_AMR": "mfa",
            "SSO__PROVISION": "true",
            "SSO__ROLES__PHYSICIAN": "clinician",
            "SSO__ROLES__CHIEF": "admin",
        }

    def stop(self) -> None:
        self._partner.stop()
