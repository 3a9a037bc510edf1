"""The configuration chooses the provider; what is missing for it is named."""

import sys
from pathlib import Path

import pytest

from telehealth.config import Config
from telehealth.keys.provider import KeyDestroyed, ProviderUnfit
from telehealth.keys.providers import RootKeyInvalid, open_provider
from tests.partners.moto import Moto
from tests.partners.openbao import OpenBao
from tests.partners.softhsm import SoftHsm


def _config(folder: Path, backup_days: int = 0, **keys: object) -> Config:
    places = {"keys": folder / "keys", "root_key": folder / "root.key"}
    return Config.model_validate({"places": places, "recording": {"backup_days": backup_days}, "keys": keys})


@pytest.mark.xdist_group("vault")
async def test_vault_is_chosen(tmp_path: Path, openbao: OpenBao) -> None:
    config = _config(tmp_path, provider="vault", vault_url=openbao.url, vault_token_file=str(openbao.token_file))
    provider = await open_provider(config)
    assert (provider.name, provider.assurance) == ("vault", "key-service")
    assert (await provider.status()).reachable
    await provider.close()


@pytest.mark.xdist_group("pkcs11")
async def test_pkcs11_is_chosen(tmp_path: Path, softhsm: SoftHsm) -> None:
    config = _config(
        tmp_path,
        provider="pkcs11",
        pkcs11_module=str(softhsm.module),
        pkcs11_token=softhsm.label,
        pkcs11_pin_file=str(softhsm.pin_file),
    )
    provider = await open_provider(config)
    assert (provider.name, provider.assurance) == ("pkcs11", "pkcs11-token")
    await provider.close()


@pytest.mark.xdist_group("awskms")
async def test_kms_is_chosen_and_waits_for_its_deletions(tmp_path: Path, moto: Moto) -> None:
    config = _config(tmp_path, 7, provider="awskms", aws_region=moto.region, aws_endpoint=moto.url, prefix="chosen-")
    provider = await open_provider(config)
    assert (provider.name, provider.assurance) == ("awskms", "kms-scheduled-deletion")
    await provider.create("one")
    key_id = (await provider._look("one")).key_id  # type: ignore[attr-defined]
    await provider.destroy("one")
    async with provider._speaking() as kms:  # type: ignore[attr-defined]
        found = (await kms.describe_key(KeyId=key_id))["KeyMetadata"]
    assert found["KeyState"] == "PendingDeletion"
    assert (found["DeletionDate"] - found["CreationDate"]).days in (6, 7)
    with pytest.raises(KeyDestroyed):
        await provider.wrap("one", b"x", b"")
    await provider.close()


async def test_file_is_the_default_and_a_root_that_is_no_key_is_refused(tmp_path: Path) -> None:
    config = _config(tmp_path)
    assert (await open_provider(config)).name == "file"
    config.places.root_key.write_text("nonsense")
    with pytest.raises(RootKeyInvalid):
        await open_provider(config)


@pytest.mark.parametrize(
    ("package", "extra", "keys"),
    [
        ("pkcs11", "hsm", {"provider": "pkcs11", "pkcs11_module": "x.so", "pkcs11_token": "t", "pkcs11_pin_file": "p"}),
        ("aiobotocore", "aws", {"provider": "awskms", "aws_region": "eu-west-1"}),
    ],
)
async def test_a_package_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, keys: dict[str, str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("telehealth.keys.pkcs11", "telehealth.keys.token", "telehealth.keys.awskms"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ProviderUnfit, match=rf"pip install telehealth\[{extra}\]"):
        await open_provider(_config(tmp_path, 7, **keys))
