"""The country of an address, from a local file: no address is ever asked about elsewhere."""

from pathlib import Path

import maxminddb

from telehealth.alerts.facts import CountryOf
from telehealth.log import get_logger

log = get_logger(__name__)
FIELDS = ("country", "registered_country")


class CountryUnknown(Exception):
    """The configured file is no MMDB."""


class CountryBook:
    """An MMDB file in memory, in the layout of GeoLite2-Country and those that follow it."""

    def __init__(self, path: Path) -> None:
        """Blocks. Raises CountryUnknown."""
        try:
            self._book = maxminddb.open_database(str(path), maxminddb.MODE_MEMORY)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            raise CountryUnknown(str(path)) from error

    def of(self, address: str) -> str | None:
        """Two letters (ISO 3166); None for what is in no country's network, or no address."""
        try:
            found = self._book.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return None
        if not isinstance(found, dict):
            return None
        for name in FIELDS:
            place = found.get(name)
            code = place.get("iso_code") if isinstance(place, dict) else place
            if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
                return code.upper()
        return None


def country_of(path: Path | None) -> CountryOf:
    """How countries are found; without a file, never. Blocks. A file that is none is said and passed over."""
    if path is None:
        return lambda address: None
    try:
        return CountryBook(path).of
    except CountryUnknown:
        log.error("alerts.country_file", code="country_file")
        return lambda address: None
