"""What a root of keys must be able to do, and how it refuses.

`file`, `vault` (Vault and OpenBao), `pkcs11` and `awskms` stand behind the one Protocol. Key names are
`wrapping-1`, `secret-fields`, `epoch-…`: lower-case letters, digits and hyphens, at most 80 characters.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from telehealth.errors import Reason, Refusal


class KeyServiceUnavailable(Refusal):
    """The provider cannot be reached; nothing is known about the key, so ask again."""

    code = "key_service_unavailable"
    reason = Reason.UNAVAILABLE
    message = "The key service cannot be reached. Please try again shortly."


class KeyDestroyed(Refusal):
    """The key does not exist any more; what it wrapped will never open again."""

    code = "key_destroyed"
    reason = Reason.GONE
    message = "The key to this was destroyed."


class UnwrapFailed(Refusal):
    """The key is there, but these bytes were not wrapped by it for this context."""

    code = "unwrap_failed"
    reason = Reason.UNAVAILABLE
    message = "The key material could not be opened."


class KeysExposed(Refusal):
    """Somebody else may read key files. `mend` is the command that puts it right."""

    code = "keys_exposed"
    reason = Reason.UNAVAILABLE
    message = "Key files are readable by others."

    def __init__(self, mend: str) -> None:
        super().__init__()
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} Mend it with: {self.mend}"


class WrongRoot(Refusal):
    """The root key is not the one these key files were made with."""

    code = "wrong_root_key"
    reason = Reason.UNAVAILABLE
    message = "The root key does not belong to these key files. Put the right root key file back."

    def __str__(self) -> str:
        return self.message


class ProviderUnfit(Refusal):
    """The provider answers, but cannot promise what we need of it. `mend` says what to change."""

    code = "key_provider_unfit"
    reason = Reason.UNAVAILABLE
    message = "The key service is not set up as it must be."

    def __init__(self, mend: str) -> None:
        super().__init__()
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} Mend it so: {self.mend}"


_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


def checked_name(key_name: str) -> str:
    """The name as it is. Raises ValueError for what is none."""
    if not _NAME.fullmatch(key_name):
        raise ValueError("not a key name")
    return key_name


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """`keys` counts the keys alive; `reachable` says whether that could be asked at all."""

    name: str
    assurance: str
    reachable: bool
    keys: int


class Provider(Protocol):
    """Named AES-256 keys that never leave it.

    Every method raises KeyServiceUnavailable when the provider cannot answer; then nothing is known to have happened.
    None waits longer than the provider's time limit, and "the key is gone" is never said of a provider that is gone.
    """

    @property
    def name(self) -> str:
        """Which kind: `file`, `vault`, `pkcs11`, `awskms`."""
        ...

    @property
    def assurance(self) -> str:
        """What a certificate may say about destruction in it, such as `software-keystore`."""
        ...

    async def start(self) -> None:
        """Connect; once, before anything else. Raises ProviderUnfit, ConfigRefused and what the kind is afraid of."""
        ...

    async def close(self) -> None:
        """Give connections and threads back; once more is no error."""
        ...

    async def create(self, key_name: str) -> None:
        """Make the key, durably; one that exists stays as it is."""
        ...

    async def exists(self, key_name: str) -> bool: ...

    async def names(self, prefix: str) -> frozenset[str]:
        """All keys alive whose name starts so."""
        ...

    async def wrap(self, key_name: str, plaintext: bytes, context: bytes) -> bytes:
        """AES-256-GCM, bound to key name and context. Raises KeyDestroyed. At most 4,096 bytes of plaintext."""
        ...

    async def unwrap(self, key_name: str, wrapped: bytes, context: bytes) -> bytes:
        """What `wrap` was given. Raises KeyDestroyed, UnwrapFailed."""
        ...

    async def destroy(self, key_name: str) -> None:
        """End the key for good, durably; one that is gone is no error."""
        ...

    async def status(self) -> ProviderStatus:
        """How it stands; the one method that does not raise KeyServiceUnavailable."""
        ...
