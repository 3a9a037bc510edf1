"""What is Vault's alone: tokens, seals, mounts, and an engine that would make keys unasked."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telehealth.config import ConfigRefused
from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, ProviderUnfit
from telehealth.keys.vault import VaultProvider
from tests.partners.openbao import OpenBao

from .stands import BRIEF, SECONDS, VaultStand

pytestmark = pytest.mark.xdist_group("vault")


@pytest.fixture
def stand(openbao: OpenBao) -> VaultStand:
    return VaultStand(openbao)


@pytest.fixture
async def provider(stand: VaultStand) -> AsyncIterator[VaultProvider]:
    made = stand.provider()
    await made.start()
    yield made
    await made.close()


async def test_a_sealed_vault_refuses_and_comes_back(provider: VaultProvider, openbao: OpenBao) -> None:
    await provider.create("one")
    wrapped = await provider.wrap("one", b"x", b"")
    openbao.seal()
    try:
        for call in (provider.unwrap("one", wrapped, b""), provider.exists("one"), provider.destroy("one")):
            with pytest.raises(KeyServiceUnavailable):
                await call
        assert not (await provider.status()).reachable
    finally:
        openbao.unseal()
    assert await provider.unwrap("one", wrapped, b"") == b"x"


async def test_keys_and_their_destruction_outlive_the_server(provider: VaultProvider, openbao: OpenBao) -> None:
    await provider.create("one")
    await provider.create("two")
    wrapped = {name: await provider.wrap(name, b"x", b"") for name in ("one", "two")}
    await provider.destroy("one")
    openbao.restart()
    assert await provider.unwrap("two", wrapped["two"], b"") == b"x"
    with pytest.raises(KeyDestroyed):
        await provider.unwrap("one", wrapped["one"], b"")


async def test_a_revoked_token_is_denied_until_its_file_has_a_good_one(
    stand: VaultStand, openbao: OpenBao, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    first = openbao.token()
    file.write_text(first + "\n")
    provider = stand.provider(file)
    await provider.start()
    await provider.create("one")
    wrapped = await provider.wrap("one", b"x", b"")
    openbao.ask("POST", "auth/token/revoke", {"token": first})
    with pytest.raises(KeyServiceUnavailable):
        await provider.unwrap("one", wrapped, b"")
    with pytest.raises(KeyServiceUnavailable):
        await provider.exists("one")
    file.write_text(openbao.token() + "\n")
    assert await provider.unwrap("one", wrapped, b"") == b"x"
    file.unlink()
    openbao.ask("POST", "auth/token/revoke-self", token=provider._token.reveal())  # type: ignore[union-attr]
    with pytest.raises(KeyServiceUnavailable):
        await provider.exists("one")
    await provider.close()


async def test_an_engine_that_is_not_there_proves_nothing(stand: VaultStand, openbao: OpenBao) -> None:
    token = openbao.folder / "root"
    token.write_text(openbao.root)
    elsewhere = VaultProvider(openbao.url, token_file=token, mount="none", prefix=stand.prefix, seconds=SECONDS)
    with pytest.raises(KeyServiceUnavailable):
        await elsewhere.start()
    openbao.ask("POST", "sys/mounts/brief", {"type": "transit"})
    brief = VaultProvider(openbao.url, token_file=token, mount="brief", prefix=stand.prefix, seconds=SECONDS)
    await brief.start()
    await brief.create("one")
    openbao.ask("DELETE", "sys/mounts/brief")
    for call in (brief.exists("one"), brief.names(""), brief.unwrap("one", b"\x01vault:v1:AAAA", b"")):
        with pytest.raises(KeyServiceUnavailable):
            await call
    await brief.close()


async def test_a_token_that_could_bring_destroyed_names_back_is_refused_or_bound(
    stand: VaultStand, openbao: OpenBao, tmp_path: Path
) -> None:
    """Encrypting makes a missing key, unless the mount or the token's policy forbids it."""
    openbao.ask("POST", "sys/mounts/loose", {"type": "transit"})
    rules = 'path "loose/encrypt/*" { capabilities = ["create"] } path "loose/keys" { capabilities = ["list"] }'
    openbao.ask("POST", "sys/policies/acl/loose", {"policy": rules})
    made = openbao.ask("POST", "auth/token/create", {"policies": ["loose"]})
    file = tmp_path / "token"
    file.write_text(made["auth"]["client_token"])
    loose = VaultProvider(openbao.url, token_file=file, mount="loose", prefix=stand.prefix, seconds=SECONDS)
    with pytest.raises(ProviderUnfit, match="disable_upsert"):
        await loose.start()
    file.write_text(openbao.root)
    bound = VaultProvider(openbao.url, token_file=file, mount="loose", prefix=stand.prefix, seconds=SECONDS)
    await bound.start()
    with pytest.raises(KeyDestroyed):
        await bound.wrap("never-was", b"x", b"")
    await bound.close()


async def test_a_port_nobody_listens_on_is_said_at_once(tmp_path: Path, openbao: OpenBao) -> None:
    started = time.monotonic()
    nobody = VaultProvider("http://127.0.0.1:9", token_file=openbao.token_file, seconds=BRIEF)
    with pytest.raises(KeyServiceUnavailable):
        await nobody.start()
    assert time.monotonic() - started < 2 * BRIEF + 5


async def test_missing_files_are_named(tmp_path: Path, openbao: OpenBao) -> None:
    with pytest.raises(ConfigRefused, match="none: cannot be read"):
        await VaultProvider(openbao.url, token_file=tmp_path / "none").start()
    empty = tmp_path / "ca.pem"
    empty.write_text("")
    with pytest.raises(ConfigRefused, match="vault_ca_file"):
        await VaultProvider(openbao.url, token_file=openbao.token_file, ca_file=empty).start()
