"""A browser's session key, as the pages make one."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from software_key import spelled

TITLE = "telehealth session proof 1\n"


class SessionKey:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        x, y = (spelled(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def proof(self, challenge: str, title: str = TITLE) -> str:
        r, s = decode_dss_signature(self._key.sign((title + challenge).encode(), ec.ECDSA(hashes.SHA256())))
        return f"{challenge}.{spelled(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
