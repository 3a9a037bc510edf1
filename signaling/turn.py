"""ICE servers for direct calls, with TURN credentials that coturn checks without a database (its REST scheme)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from telehealth.secret import Secret


@dataclass(frozen=True, slots=True)
class IceServers:
    """`secret`: shared with coturn (`static-auth-secret`); `lifetime`: of one credential."""

    stun_urls: Sequence[str] = ()
    turn_urls: Sequence[str] = ()
    secret: Secret[str] | None = None
    lifetime: timedelta = timedelta(minutes=60)

    def credentials(self, participant: str, now: datetime) -> list[dict[str, Any]]:
        """RTCIceServer dictionaries for one participant; user name: expiry and id, password: its HMAC."""
        servers: list[dict[str, Any]] = []
        if self.stun_urls:
            servers.append({"urls": list(self.stun_urls)})
        if self.turn_urls and self.secret is not None:
            name = f"{int((now + self.lifetime).timestamp())}:{participant}"
            # coturn's REST scheme is HMAC-SHA-1; the key is the secret, so collisions of SHA-1 do not matter
            code = hmac.digest(self.secret.reveal().encode(), name.encode(), hashlib.sha1)
            credential = base64.b64encode(code).decode()
            servers.append({"urls": list(self.turn_urls), "username": name, "credential": credential})
        return servers
