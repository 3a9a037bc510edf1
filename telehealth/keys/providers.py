"""Which provider this house has, by its configuration. Optional packages are imported here and in its module alone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from telehealth.config import Config
from telehealth.errors import Reason, Refusal
from telehealth.keys.file import FileProvider, prepare_root
from telehealth.keys.provider import Provider, ProviderUnfit
from telehealth.keys.settings import Keys
from telehealth.keys.vault import VaultProvider


class RootKeyInvalid(Refusal):
    """The root key's file holds something else."""

    code = "root_key_invalid"
    reason = Reason.UNAVAILABLE
    message = "The file at places.root_key is no key. Restore it from its copy: nothing opens without it."


async def open_provider(config: Config) -> Provider:
    """The provider that `[keys]` names, started; whoever asked closes it.

    Raises ConfigRefused, KeysExposed, WrongRoot, RootKeyInvalid, ProviderUnfit, KeyServiceUnavailable, OSError.
    """
    provider = await _MAKERS[config.keys.provider](config)
    await provider.start()
    return provider


async def _file(config: Config) -> Provider:
    try:
        root = await asyncio.to_thread(prepare_root, config.places.root_key)
    except ValueError:
        raise RootKeyInvalid from None  # the cause would quote the file
    return FileProvider(config.places.keys / "provider", root)


async def _vault(config: Config) -> Provider:
    keys = config.keys
    return VaultProvider(
        keys.vault_url,
        token_file=_given(keys.vault_token_file),
        mount=keys.vault_mount,
        prefix=keys.prefix,
        ca_file=keys.vault_ca_file,
        seconds=keys.timeout_seconds,
    )


async def _pkcs11(config: Config) -> Provider:
    return await asyncio.to_thread(_pkcs11_of, config.keys)


def _pkcs11_of(keys: Keys) -> Provider:
    try:
        import pkcs11  # noqa: F401  # its absence is to be said at the start
    except ModuleNotFoundError as error:
        raise ProviderUnfit("pip install telehealth[hsm]") from error
    from telehealth.keys.pkcs11 import Pkcs11Provider

    return Pkcs11Provider(
        _given(keys.pkcs11_module),
        token=keys.pkcs11_token,
        pin_file=_given(keys.pkcs11_pin_file),
        prefix=keys.prefix,
        seconds=keys.timeout_seconds,
    )


async def _awskms(config: Config) -> Provider:
    return await asyncio.to_thread(_awskms_of, config.keys)


def _awskms_of(keys: Keys) -> Provider:
    try:
        from telehealth.keys.awskms import AwsKmsProvider
    except ModuleNotFoundError as error:
        raise ProviderUnfit("pip install telehealth[aws]") from error
    return AwsKmsProvider(
        region=keys.aws_region,
        endpoint=keys.aws_endpoint,
        deletion_days=keys.aws_deletion_days,
        prefix=keys.prefix,
        seconds=keys.timeout_seconds,
    )


def _given(path: Path | None) -> Path:
    """The configuration refused to be read without it."""
    if path is None:
        raise LookupError
    return path


_MAKERS: dict[str, Callable[[Config], Awaitable[Provider]]] = {
    "file": _file,
    "vault": _vault,
    "pkcs11": _pkcs11,
    "awskms": _awskms,
}
