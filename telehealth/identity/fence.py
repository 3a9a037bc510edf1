"""From where patients may join, as the clinic has set it: countries, networks, or anywhere."""

from collections.abc import Callable, Sequence

from telehealth.access.bounds import Bounds, Network

CountryOf = Callable[[str | None], str | None]


class Fence:
    """Either list lets in; both empty let everybody in. A country that is not known is outside."""

    def __init__(self, countries: Sequence[str], networks: Sequence[Network], country_of: CountryOf) -> None:
        self._countries = frozenset(countries)
        self._bounds = Bounds(networks=tuple(networks))
        self._country_of = country_of

    def lets(self, address: str | None) -> bool:
        """Whether somebody at the address may join, or come back."""
        if not self._countries and not self._bounds.networks:
            return True
        return bool(self._bounds.in_networks(address)) or self._country_of(address) in self._countries


OPEN = Fence((), (), lambda _address: None)
