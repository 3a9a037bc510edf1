"""Countries come from a local file; what is none is said and passed over. Hours and networks are pure."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from alert_tower import ABROAD, HOME, countries

from telehealth.alerts.country import CountryBook, CountryUnknown, country_of
from telehealth.alerts.facts import network_of
from telehealth.alerts.judging import Hours
from telehealth.alerts.rules import SHIPPED, Change, in_force
from telehealth.alerts.settings import Alerts
from telehealth.config import Config

VIENNA = ZoneInfo("Europe/Vienna")


def test_a_country_is_found_and_what_is_in_none_is_none(tmp_path: Path) -> None:
    book = CountryBook(countries(tmp_path))
    assert [book.of(one) for one in (HOME, ABROAD, "10.0.0.1", "::1", "no address", "")] == ["AT", "NZ", *[None] * 4]


def test_a_file_that_is_none_leaves_those_rules_at_rest(tmp_path: Path) -> None:
    broken = tmp_path / "country.mmdb"
    broken.write_bytes(b"not an address file")
    with pytest.raises(CountryUnknown):
        CountryBook(broken)
    assert country_of(broken)(HOME) is None
    assert country_of(tmp_path / "missing")(HOME) is None
    assert country_of(None)(HOME) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("unknown", "unknown"),
    ],
)
def test_a_network_is_a_neighbourhood(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("text", "days", "moment", "is_open"),
    [
        ("06:00-22:00", "mon", (6, 4, 0), True),  # Monday 06:00 in Vienna
        ("06:00-22:00", "mon", (6, 3, 59), False),
        ("06:00-22:00", "tue", (6, 4, 0), False),
        ("00:00-24:00", "mon", (6, 21, 59), True),
        ("00:00-24:00", "mon", (6, 22, 1), False),  # Tuesday
        ("20:00-04:00", "mon", (7, 1, 30), True),  # Monday's night goes on
        ("20:00-04:00", "mon", (7, 2, 30), False),
        ("20:00-04:00", "tue", (7, 1, 30), False),
    ],
)
def test_hours_are_the_clinics_own(text: str, days: str, moment: tuple[int, int, int], is_open: bool) -> None:
    day, hour, minute = moment
    hours = Hours.of(text, (days,), VIENNA)
    assert hours.open_at(datetime(2026, 7, day, hour, minute, tzinfo=UTC)) is is_open


def test_changes_of_unknown_rules_and_odd_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no such rule: nothing"):
        in_force({"nothing": Change(on=False)})
    with pytest.raises(ValueError, match="least"):
        Alerts.model_validate({"rules": {"bulk_export": {"least": 0}}})
    with pytest.raises(ValueError, match="actions"):
        Alerts.model_validate({"rules": {"bulk_export": {"actions": []}}})
    assert len(in_force({"bulk_export": Change(on=False)})) == len(SHIPPED) - 1


@pytest.mark.parametrize(
    "section",
    [
        {"webhook_url": "http://example.org/hook", "webhook_secret_file": "/x"},
        {"webhook_url": "https://name:word@example.org/hook", "webhook_secret_file": "/x"},
        {"webhook_url": "https://example.org/hook"},
        {"webhook_url": "ftp://127.0.0.1/hook", "webhook_secret_file": "/x"},
        {"webhook_url": "https:///hook", "webhook_secret_file": "/x"},
        {"mail_to": ["it@example.org"]},
        {"syslog": "https://example.org"},
        {"hours": "6-22"},
        {"work_days": []},
    ],
)
def test_a_channel_that_would_leak_or_lead_nowhere_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="alerts"):
        Config.model_validate({"alerts": section})
