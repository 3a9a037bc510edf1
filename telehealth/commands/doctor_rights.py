"""The part of `telehealth doctor` that asks partners whether they let us, or others by them, do more than is needed."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final

from signaling.turn import IceServers
from telehealth.clock import SystemClock
from telehealth.commands.findings import Finding
from telehealth.config import Config, ConfigRefused, read_secret
from telehealth.errors import NotFound, Refusal

if TYPE_CHECKING:
    from signaling.rtc.turn_look import Relay

SECONDS: Final = 10.0  # for each partner


def rights(config: Config, trusted: ssl.SSLContext | None = None) -> Iterator[Finding]:
    """Each partner that can be asked. `trusted`: whom TURN servers' certificates are compared with."""
    if config.places.database.startswith("postgres"):
        from telehealth.store.rights import excess as of_role  # loads SQLAlchemy, which a look at SQLite does not need

        yield from _asked("places.database", _database(of_role(config.places.database)))
    if config.keys.provider == "vault":
        from telehealth.keys.rights import excess as of_token

        yield from _asked("keys.vault_token_file", _vault(of_token(config.keys)))
    if config.media.turn_urls:
        from signaling.rtc.turn_look import Relay, relayed  # loads the media edge, which nothing else here needs

        roots = trusted or ssl.create_default_context()
        for url in config.media.turn_urls:
            yield from _asked(_turn_what(url), _turn(config, url, lambda relay: relayed(relay, roots), Relay.of))
    if config.store.kind == "s3":
        yield from _asked("store.bucket", _bucket(config))
    if config.store.kind == "s3" or config.keys.provider == "awskms":
        mend = "docs/stores.md and docs/keys.md name the few rights that are needed; grant no others."
        yield Finding("rights", "note", "S3 and KMS cannot be asked what our key may do", mend)


def _asked(what: str, question: Awaitable[Finding]) -> Iterator[Finding]:
    async def bounded() -> Finding:
        async with asyncio.timeout(SECONDS):
            return await question

    try:
        yield asyncio.run(bounded())
    except ConfigRefused as refused:
        yield Finding(what, "wrong", "; ".join(refused.faults), "Correct the path, or its rights.")
    except Exception as error:  # noqa: BLE001  # whatever a driver raises, the look goes on: that it failed is the finding
        yield Finding(
            what, "wrong", f"cannot be asked ({type(error).__name__})", "Is it running, and reachable?", "away"
        )


async def _database(excess: Awaitable[tuple[str, ...]]) -> Finding:
    found = await excess
    if found:
        mend = f"ALTER ROLE … {' '.join(f'NO{one.upper()}' for one in found)}; it needs its own database alone."
        return Finding("places.database", "wrong", f"our role is {', '.join(found)}", mend, "database_rights")
    return Finding("places.database", "well", "our role has no rights beyond its database")


async def _bucket(config: Config) -> Finding:
    """Whether the store answers, takes our keys and locks nothing; nothing is written there."""
    from recordings.vault.s3 import S3Shelf  # loads aiobotocore, which a server with a disk alone need not have
    from telehealth.storing import bucket_of

    shelf = S3Shelf(await asyncio.to_thread(bucket_of, config.store))
    try:
        await shelf.check()
    except NotFound as missing:
        text = f"there is no bucket {config.store.bucket}"
        return Finding("store.bucket", "wrong", text, "Make it there, or correct store.bucket.", missing.code)
    except Refusal as refusal:
        mend = f"docs/stores.md says what {refusal.code} asks for."
        return Finding("store.bucket", "wrong", refusal.message, mend, refusal.code)
    finally:
        await shelf.close()
    return Finding("store.bucket", "well", f"{config.store.bucket} answers, and locks no objects")


async def _vault(excess: Awaitable[tuple[str, ...]]) -> Finding:
    found = await excess
    if found:
        mend = "Give it the policy of docs/keys.md and no other."
        return Finding("keys.vault_token_file", "wrong", f"our token may: {', '.join(found)}", mend, "vault_rights")
    return Finding("keys.vault_token_file", "well", "our token may use our keys alone")


def _turn_what(url: str) -> str:
    return f"media.turn_urls ({url})"


async def _turn(
    config: Config,
    url: str,
    relayed: "Callable[[Relay], Awaitable[tuple[str, ...]]]",
    relay_of: "Callable[[str, str, str], Relay]",
) -> Finding:
    what = _turn_what(url)
    if config.media.turn_secret_file is None:
        return Finding(what, "note", "without media.turn_secret_file there are no credentials to ask with")
    secret = await asyncio.to_thread(read_secret, config.media.turn_secret_file)
    (told,) = IceServers(turn_urls=(url,), secret=secret).credentials("doctor", SystemClock().now())
    found = await relayed(relay_of(url, told["username"], told["credential"]))
    if found:
        mend = "coturn: no-multicast-peers, and denied-peer-ip for every special-purpose range (docs/reachability.md)."
        return Finding(what, "wrong", f"relays to {', '.join(found)}", mend, "turn_open")
    return Finding(what, "well", "relays to no loopback, private or link-local address")
