"""How fast shares move from an old wrapping key to a new one, for each provider beside its real partner."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figure import Figure, measured, said, say, wished
from telehealth.audit.entry import SYSTEM
from telehealth.keys.file import FileProvider
from telehealth.keys.pkcs11 import Pkcs11Provider
from telehealth.keys.provider import Provider
from telehealth.keys.vault import VaultProvider
from telehealth.log import configure
from telehealth.secret import Secret
from tests.partners.key_clinic import KeyClinic
from tests.partners.moto import Moto
from tests.partners.openbao import OpenBao
from tests.partners.softhsm import SoftHsm

SHARES = 3  # of a sealed recording of two people: a track of each, and the manifest
AIM = SHARES * 10_000 / 60  # shares a second with `file`: ten thousand recordings within a minute
_ONE_IN = {"file": 1, "vault": 10, "pkcs11": 5, "awskms": 40}  # slower partners are asked for one share in so many


def run(seed: int) -> Iterator[Figure]:
    """One figure for each provider; media are no part of it, whatever their size."""
    configure(level="ERROR")
    count = wished(10_000)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for kind, make in _KINDS.items():
            shares = max(1, count // _ONE_IN[kind])
            say(f"{kind}: {shares} shares")
            provider = make(Path(folder) / kind, stack)
            seconds = asyncio.run(_seconds(Path(folder) / f"{kind}-clinic", provider, shares))
            aim = AIM if kind == "file" else None
            name = f"recordings.rewrap_per_second.{kind}"
            yield measured(name, shares / seconds, "1/s", n=shares, seed=seed, at_least=aim)


async def _seconds(folder: Path, provider: Provider, shares: int) -> float:
    """How long a whole re-wrapping takes: database, audit entries and provider; every share is opened after it."""
    clinic = await KeyClinic(folder, provider).open()
    await clinic.many_shares(shares)
    await clinic.turnover.rotate(SYSTEM)
    begun = time.perf_counter()
    done = await clinic.turnover.rewrap(SYSTEM)
    seconds = time.perf_counter() - begun
    rows = await clinic.rows()
    opened = [await clinic.share_opens(file_id, wrapped) for file_id, wrapped in rows.items()]
    await clinic.close()
    if (done.moved, done.left, len(opened)) != (shares, 0, shares) or not all(opened):
        raise RuntimeError("shares were lost")
    return seconds


def _file(folder: Path, _stack: ExitStack) -> Provider:
    return FileProvider(folder, Secret(bytes(32)))


def _vault(folder: Path, stack: ExitStack) -> Provider:
    bao = OpenBao(folder)
    stack.callback(bao.stop)
    return VaultProvider(bao.url, token_file=bao.token_file)


def _pkcs11(folder: Path, _stack: ExitStack) -> Provider:
    hsm = SoftHsm(folder)
    return Pkcs11Provider(hsm.module, token=hsm.label, pin_file=hsm.pin_file)


def _awskms(folder: Path, stack: ExitStack) -> Provider:
    from telehealth.keys.awskms import AwsKmsProvider

    moto = Moto(folder)
    stack.callback(moto.stop)
    return AwsKmsProvider(region=moto.region, endpoint=moto.url)


_KINDS: dict[str, Callable[[Path, ExitStack], Provider]] = {
    "file": _file,
    "vault": _vault,
    "pkcs11": _pkcs11,
    "awskms": _awskms,
}

if __name__ == "__main__":
    said(run)
