"""Every kind of provider beside its real partner, behind one set of words for the tests."""

import os
import secrets
from pathlib import Path
from typing import Protocol

from telehealth.keys.awskms import AwsKmsProvider
from telehealth.keys.file import FileProvider
from telehealth.keys.pkcs11 import Pkcs11Provider
from telehealth.keys.provider import Provider
from telehealth.keys.vault import VaultProvider
from telehealth.secret import Secret
from tests.partners.moto import Moto
from tests.partners.openbao import OpenBao
from tests.partners.softhsm import SoftHsm

SECONDS = 10.0  # how long a provider under test waits for its service, on however busy a machine
BRIEF = 0.6  # and while the test has taken the service away


def _own() -> str:
    """A name space of keys that nobody else has at the same partner."""
    return f"t{secrets.token_hex(4)}-"


class Stand(Protocol):
    """One installation's place at a partner; every stand has a key name space of its own."""

    kind: str

    def provider(self) -> Provider:
        """A provider on this place, not started."""
        ...

    def away(self) -> None:
        """Take the partner away, by the way that hurts this kind most."""
        ...

    def back(self) -> None: ...

    def storage(self) -> list[Path]:
        """Folders that belong to the provider itself: what only a copy of the provider would hold."""
        ...


class _Remote:
    """Providers made here wait long for a service that is there, and briefly for one that is not."""

    def __init__(self, server: OpenBao | Moto) -> None:
        self._server = server
        self._made: list[VaultProvider | AwsKmsProvider] = []
        self.prefix = _own()

    def away(self) -> None:
        self._server.freeze()
        self._wait(BRIEF)

    def back(self) -> None:
        self._server.thaw()
        self._wait(SECONDS)

    def _wait(self, seconds: float) -> None:
        for made in self._made:
            made.seconds = seconds


class FileStand:
    kind = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "provider"
        self.root = Secret(os.urandom(32))

    def provider(self) -> FileProvider:
        return FileProvider(self.folder, self.root)

    def away(self) -> None:
        self.folder.rename(self.folder.with_name("unmounted"))

    def back(self) -> None:
        self.folder.with_name("unmounted").rename(self.folder)

    def storage(self) -> list[Path]:
        return [self.folder]


class VaultStand(_Remote):
    kind = "vault"

    def __init__(self, bao: OpenBao) -> None:
        super().__init__(bao)
        self.bao = bao

    def provider(self, token_file: Path | None = None) -> VaultProvider:
        file = token_file or self.bao.token_file
        made = VaultProvider(self.bao.url, token_file=file, prefix=self.prefix, seconds=SECONDS)
        self._made.append(made)
        return made

    def storage(self) -> list[Path]:
        return [self.bao.data]


class Pkcs11Stand:
    kind = "pkcs11"

    def __init__(self, hsm: SoftHsm) -> None:
        self.hsm = hsm
        self.prefix = _own()

    def provider(self, pin_file: Path | None = None) -> Pkcs11Provider:
        file = pin_file or self.hsm.pin_file
        return Pkcs11Provider(self.hsm.module, token=self.hsm.label, pin_file=file, prefix=self.prefix, seconds=5.0)

    def away(self) -> None:
        self.hsm.pull()

    def back(self) -> None:
        self.hsm.push()

    def storage(self) -> list[Path]:
        return [self.hsm.tokens]


class AwsKmsStand(_Remote):
    kind = "awskms"

    def __init__(self, moto: Moto) -> None:
        super().__init__(moto)
        self.moto = moto

    def provider(self) -> AwsKmsProvider:
        made = AwsKmsProvider(region=self.moto.region, endpoint=self.moto.url, prefix=self.prefix, seconds=SECONDS)
        self._made.append(made)
        return made

    def storage(self) -> list[Path]:
        return []
