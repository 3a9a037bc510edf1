"""What our token may do in Vault or OpenBao beyond what it needs. Asks, and changes nothing."""

import asyncio
import ssl
from typing import Any

import aiohttp

from telehealth.config import read_secret
from telehealth.keys.provider import KeyServiceUnavailable
from telehealth.keys.settings import Keys

_HARMLESS = frozenset({"deny"})
_ABOVE = (  # a token that may do these rules over more than our keys
    "sys/policies/acl/probe",
    "sys/auth/probe",
    "sys/mounts/probe",
    "sys/raw/probe",
    "sys/storage/raft/snapshot",
    "auth/token/create",
    "auth/token/create-orphan",
)


async def excess(keys: Keys) -> tuple[str, ...]:
    """The policy root, or each path that the token may use and we never do; empty: least rights.

    Raises KeyServiceUnavailable, ConfigRefused.
    """
    if keys.vault_token_file is None:
        raise KeyServiceUnavailable
    token = await asyncio.to_thread(read_secret, keys.vault_token_file)
    trusted = await asyncio.to_thread(ssl.create_default_context, cafile=keys.vault_ca_file)
    headers = {"X-Vault-Token": token.reveal(), "X-Vault-Request": "true"}
    limit = aiohttp.ClientTimeout(total=keys.timeout_seconds)
    connector = aiohttp.TCPConnector(ssl=trusted)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=limit, connector=connector) as session:
            return await _excess(keys, session)
    except (aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError, ValueError) as error:
        raise KeyServiceUnavailable from error


async def _excess(keys: Keys, session: aiohttp.ClientSession) -> tuple[str, ...]:
    base, mount = f"{keys.vault_url.rstrip('/')}/v1", keys.vault_mount
    if "root" in (await _ask(session, "GET", f"{base}/auth/token/lookup-self"))["policies"]:
        return ("root",)
    ours = (f"{mount}/export/encryption-key/{keys.prefix}probe", f"{mount}/backup/{keys.prefix}probe")
    paths = [*_ABOVE, *ours, f"{mount}/restore"]
    may = await _ask(session, "POST", f"{base}/sys/capabilities-self", {"paths": paths})
    return tuple(path for path in paths if not _HARMLESS.issuperset(may[path]))


async def _ask(session: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    async with session.request(method, url, json=body, allow_redirects=False) as answer:
        answer.raise_for_status()
        return (await answer.json())["data"]
