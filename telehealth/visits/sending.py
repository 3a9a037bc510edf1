"""A visit's links on their way: issued, and sent where that was asked for."""

from telehealth.access import Caller
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.identity.contacts import address_for
from telehealth.identity.faults import ChannelNotAllowed, ContactUnfit
from telehealth.identity.links import IssuedLink, Links
from telehealth.identity.standing import window_of
from telehealth.outbox.messages import link_message
from telehealth.outbox.outbox import ChannelOff, Outbox
from telehealth.secret import Secret
from telehealth.store.guests import GuestFacts
from telehealth.visits.orders import LinkAsked
from telehealth.visits.rows import VisitRow


class Sending:
    """The same for patients and guests; only whose contact it is differs."""

    def __init__(self, links: Links, outbox: Outbox, clock: Clock, config: Config) -> None:
        self._links = links
        self._outbox = outbox
        self._clock = clock
        self._config = config

    async def issue(
        self, caller: Caller, row: VisitRow, asked: LinkAsked, contact: str | None, guest: GuestFacts | None = None
    ) -> IssuedLink:
        """A new link; the same person's earlier one is revoked. Raises as `Links.issue` and `sendable`."""
        config, window = self._config, window_of(row.scheduled_at, row.minutes, self._config.visits)
        issued = await self._links.issue(
            caller, row.id, channel=asked.channel, window=window, passcode=asked.passcode, guest=guest
        )
        to = self.sendable(row, asked, contact)
        if asked.send is not None and to is not None:
            message = link_message(
                (guest and guest.language) or config.server.language,
                config.server.clinic_name,
                Secret(f"{config.public_url}/join#{issued.token.reveal()}"),
                link=issued.id,
                scheduled_at=row.scheduled_at,
                minutes=row.minutes,
                zone=config.server.time_zone,
                now=self._clock.now(),
            )
            await self._outbox.queue(asked.send, to, message, visit=row.id, link=issued.id, expires=issued.expires_at)
        return issued

    def sendable(self, row: VisitRow, asked: LinkAsked, contact: str | None) -> str | None:
        """Where it is sent; of high assurance not as its codes. Raises ChannelOff, ContactUnfit, ChannelNotAllowed."""
        if asked.send is None:
            return None
        if row.assurance == "high" and asked.send == asked.channel:
            raise ChannelNotAllowed
        if not self._outbox.offers(asked.send):
            raise ChannelOff
        to = address_for(asked.send, contact)
        if to is None:
            raise ContactUnfit
        return to
