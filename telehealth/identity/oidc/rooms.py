"""Single sign-on wired: one provider, and the two rooms that talk to it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from telehealth.clock import Clock
from telehealth.config import Config, ConfigRefused, read_secret
from telehealth.events import Bus
from telehealth.identity.oidc.accounts import Accounts
from telehealth.identity.oidc.flow import Flows
from telehealth.identity.oidc.provider import Provider
from telehealth.identity.oidc.sign_in import SsoSignIn
from telehealth.identity.oidc.sign_out import SsoSignOut
from telehealth.identity.oidc.wire import Wire
from telehealth.identity.sign_in import SignIn
from telehealth.ids import Entropy
from telehealth.sections import Sessions as Limits

PAGE = "/sso"  # where the provider sends the browser back to


@dataclass(frozen=True, slots=True)
class SsoRooms:
    sign_in: SsoSignIn
    sign_out: SsoSignOut


def provider_of(config: Config, clock: Clock) -> Provider:
    """The configured provider; asks it nothing yet. Blocks. Raises ConfigRefused for a file."""
    settings = config.sso
    secret = read_secret(settings.client_secret_file) if settings.client_secret_file else None
    try:
        trusted = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else None
    except (OSError, ssl.SSLError) as error:
        raise ConfigRefused([f"{settings.ca_file}: cannot be read ({type(error).__name__})"]) from error
    return Provider(settings, Wire(settings.timeout_seconds, trusted), clock, secret, config.public_url + PAGE)


def sso_of(
    common: Mapping[str, Any], provider: Provider, sign_in: SignIn, bus: Bus, entropy: Entropy, limits: Limits
) -> SsoRooms:
    """`common`: store, fields, audit, clock and sessions."""
    base = {name: part for name, part in common.items() if name != "sessions"}
    accounts = Accounts(**base, bus=bus, entropy=entropy, settings=provider.settings)
    flows = Flows(base["fields"], base["clock"], entropy)
    longest = timedelta(hours=limits.absolute_hours)
    return SsoRooms(
        SsoSignIn(**common, sign_in=sign_in, provider=provider, accounts=accounts, flows=flows, longest=longest),
        SsoSignOut(**common, provider=provider, accounts=accounts),
    )
