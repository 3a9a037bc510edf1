"""A whole key house in a temporary folder, and ways to break it at the n-th step."""

import datetime
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from telehealth.keys import disk
from telehealth.keys.file import FileProvider
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import Provider
from telehealth.secret import Secret
from tests.partners.moto import Moto
from tests.partners.openbao import OpenBao

from .stands import AwsKmsStand, FileStand, Pkcs11Stand, Stand, VaultStand

DAY = datetime.date(2026, 11, 2)
START = datetime.datetime(2026, 11, 2, 9, 0, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def _no_blocking_on_the_loop() -> Iterator[None]:
    with blockbuster_ctx("telehealth"):
        yield


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime.datetime:
        return self.moment

    def steady(self) -> float:
        return self.moment.timestamp()


class Power(Exception):
    """The plug was pulled."""


class Plug:
    """Counts every durable act of the key package and pulls the plug at one of them, before or after it happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acts = 0
        self.at: int | None = None
        self.after = False
        for name in ("write", "append", "blank", "remove"):
            monkeypatch.setattr(disk, name, self._breakable(getattr(disk, name)))

    def arm(self, at: int | None, *, after: bool = False) -> None:
        self.acts, self.at, self.after = 0, at, after

    def _breakable(self, act: Callable[..., None]) -> Callable[..., None]:
        def broken(*args: object) -> None:
            self.acts += 1
            pulled = self.at is not None and self.acts >= self.at
            if pulled and not (self.after and self.acts == self.at):
                raise Power
            act(*args)
            if pulled:
                raise Power

        return broken


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    return Plug(monkeypatch)


@dataclass
class House:
    """Provider, keyring and key store over one folder, opened and reopened like after a restart."""

    folder: Path
    two_places: bool = False
    clock: HandClock = field(default_factory=HandClock)
    root: Secret[bytes] = field(default_factory=lambda: Secret(os.urandom(32)))
    rows: dict[str, tuple[bytes, str, bytes]] = field(default_factory=dict)  # what the database would keep, and the key
    make: Callable[[], Provider] | None = None  # another provider than `file`

    def __post_init__(self) -> None:
        self.provider = self.make() if self.make else FileProvider(self.folder / "provider", self.root)
        self.keyring = Keyring(self.folder / "keyring", self.provider, self.clock)
        self.store = self._store()

    def _store(self) -> KeyStore:
        second = self.folder / "second" if self.two_places else None
        return KeyStore(self.folder / "store", self.provider, self.keyring, self.clock, second=second)

    async def start(self) -> "House":
        await self.provider.start()
        await self.keyring.start()
        await self.store.start()
        return self

    async def close(self) -> None:
        await self.store.close()
        await self.provider.close()

    async def restart(self) -> None:
        await self.close()
        self.__post_init__()
        await self.start()

    async def create(self, *file_ids: str, day: datetime.date = DAY, retention_class: str = "adult") -> None:
        for file_id in file_ids:
            key = await self.store.create(file_id, day=day, retention_class=retention_class)
            self.rows[file_id] = (key.wrapped_share, key.wrapping_key, key.dek.reveal())

    async def opens(self, file_id: str) -> bool:
        """Whether the file's key comes back, and is the right one."""
        wrapped, wrapping_key, dek = self.rows[file_id]
        return (await self.store.open(file_id, wrapped_share=wrapped, wrapping_key=wrapping_key)).reveal() == dek


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    built = await House(tmp_path).start()
    yield built
    await built.close()


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    bao = OpenBao(tmp_path_factory.mktemp("openbao"))
    yield bao
    bao.stop()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    server = Moto(tmp_path_factory.mktemp("moto"))
    yield server
    server.stop()


KINDS = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("file", "vault", "pkcs11", "awskms")]
_PARTNERS = {"vault": (VaultStand, "openbao"), "pkcs11": (Pkcs11Stand, "softhsm"), "awskms": (AwsKmsStand, "moto")}


@pytest.fixture(params=KINDS)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    if request.param == "file":
        return FileStand(tmp_path / "file")
    make, partner = _PARTNERS[request.param]
    made: Stand = make(request.getfixturevalue(partner))
    return made
