"""The clinic's own bounds: read, checked at start, and made of where and when somebody asks."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from telehealth.access import Action, Caller, Kind, Object, decide
from telehealth.access.bounds import DAYS, Bounds, parse_span, plain_address
from telehealth.access.settings import Access
from telehealth.access.surroundings import Countries, Surroundings, policy_of, surroundings_of
from telehealth.config import ConfigRefused, load

BERLIN = ZoneInfo("Europe/Berlin")
STEP_UP = timedelta(minutes=10)
MINE = Object(Kind.VISIT, "vis_1", "usr_c")


@pytest.fixture
def countries(tmp_path: Path) -> Path:
    path = tmp_path / "country.mmdb"
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Country")
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"iso_code": "DE"}})
    writer.insert_network(IPSet(["198.51.100.0/24"]), {"country": {"iso_code": "FR"}})
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"continent": {"code": "EU"}})
    writer.insert_network(IPSet(["2001:db8::/32"]), {"country": {"iso_code": "AT"}})
    writer.to_db_file(str(path))
    return path


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("mon-fri 07:00-19:00", "2031-05-06T07:00", True),  # a Tuesday
        ("mon-fri 07:00-19:00", "2031-05-06T06:59", False),
        ("mon-fri 07:00-19:00", "2031-05-06T19:00", False),
        ("mon-fri 07:00-19:00", "2031-05-10T12:00", False),
        ("fri-mon 08:00-12:00", "2031-05-11T08:30", True),
        ("fri-mon 08:00-12:00", "2031-05-06T08:30", False),
        ("sat 22:00-06:00", "2031-05-11T05:59", True),  # the night after
        ("sat 22:00-06:00", "2031-05-10T05:59", False),
        ("sat 22:00-06:00", "2031-05-11T06:00", False),
        ("mon-sun 00:00-24:00", "2031-05-06T23:59", True),
        ("sun 01:30-04:00", "2031-03-30T03:30", True),  # clocks go forward: 01:59, then 03:00
    ],
)
def test_hours_are_the_clinics_own(text: str, moment: str, inside: bool) -> None:
    assert Bounds(hours=(parse_span(text),), zone=BERLIN).in_hours(at(moment)) is inside


@given(st.sampled_from(DAYS), st.sampled_from(DAYS), st.integers(0, 1439), st.integers(0, 1440), st.integers(0, 10_079))
def test_a_span_holds_the_minutes_it_names(first: str, last: str, since: int, until: int, minute: int) -> None:
    if since == until:
        return
    span = parse_span(f"{first}-{last} {since // 60:02}:{since % 60:02}-{until // 60:02}:{until % 60:02}")
    named = set()
    day = DAYS.index(first)
    while True:  # by walking the days one by one
        length = (until - since) % 1440 or 1440
        named |= {(day * 1440 + since + step) % 10_080 for step in range(length)}
        if day == DAYS.index(last):
            break
        day = (day + 1) % 7
    assert span.holds(minute // 1440, minute % 1440) is (minute in named)


@pytest.mark.parametrize("text", ["", "mon", "mon-fri", "monday 07:00-19:00", "mon 07:00-07:00", "mon 24:00-07:00"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_span(text)


def test_an_address_in_ipv6_form_is_the_ipv4_one_and_nonsense_is_none() -> None:
    bounds = Bounds(networks=(IPv4Network("10.0.0.0/8"),))
    assert bounds.in_networks("10.1.2.3")
    assert bounds.in_networks("::ffff:10.1.2.3")
    for outside in ("192.0.2.1", "2001:db8::1", "", None, "elsewhere", "10.1.2.3, 10.1.2.4"):
        assert bounds.in_networks(outside) is False
    assert plain_address("::1") is not None


def test_countries_come_from_the_file_and_what_it_does_not_say_is_none(countries: Path) -> None:
    with Countries(countries) as known:
        found = {
            address: known.of(address)
            for address in (
                "192.0.2.9",
                "198.51.100.1",
                "203.0.113.1",
                "::ffff:192.0.2.9",
                "2001:db8::7",
                "8.8.8.8",
                "x",
            )
        }
    assert found == {
        "192.0.2.9": "DE",
        "198.51.100.1": "FR",
        "203.0.113.1": None,
        "::ffff:192.0.2.9": "DE",
        "2001:db8::7": "AT",
        "8.8.8.8": None,
        "x": None,
    }


def test_a_file_that_is_no_database_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "x.mmdb").write_bytes(b"no database")
    with pytest.raises(ValueError, match="no MaxMind database"):
        Countries(tmp_path / "x.mmdb")
    with pytest.raises(OSError):
        Countries(tmp_path / "none.mmdb")


def test_a_role_has_its_own_bounds_over_those_of_all(countries: Path) -> None:
    section = Access.model_validate(
        {
            "business_hours": ["mon-fri 07:00-19:00"],
            "countries": ["de"],
            "country_database": countries,
            "roles": {"clinician": {"outside": "purpose"}, "admin": {"business_hours": [], "countries": ["FR"]}},
        }
    )
    assert [text for wrong, text in section.faults() if wrong] == []
    around = surroundings_of(section, BERLIN, STEP_UP)

    def reason(role: str, address: str, moment: str, purpose: str | None = None) -> str:
        who = Caller("user", "usr_c", role, address=address)  # type: ignore[arg-type]
        verdict = decide(around.about(who, at(moment)), Action.VISITS_READ, MINE, purpose=purpose)
        return "" if verdict else verdict.reason

    day, night = "2031-05-06T12:00", "2031-05-06T23:00"
    assert reason("clinician", "192.0.2.9", day) == ""
    assert reason("clinician", "192.0.2.9", night) == "outside_hours"
    assert reason("clinician", "192.0.2.9", night, "treatment") == ""
    assert reason("clinician", "198.51.100.1", day) == "outside_country"
    assert reason("clinician", "203.0.113.1", day) == "outside_country"  # unknown is outside
    assert reason("front_desk", "192.0.2.9", night, "treatment") == "outside_hours"
    assert reason("admin", "198.51.100.1", night) == ""


def test_hours_do_not_bind_programs_and_networks_do() -> None:
    section = Access.model_validate(
        {"business_hours": ["mon 00:00-00:01"], "networks": ["10.0.0.0/8"], "roles": {"admin": {"outside": "alert"}}}
    )
    around = Surroundings(policy_of(section, BERLIN, STEP_UP))
    for address, allowed in (("10.0.0.1", True), ("192.0.2.1", False)):
        token = Caller("token", "usr_c", "clinician", frozenset({"visits:read"}), session="tok_1", address=address)
        assert bool(decide(around.about(token, at("2031-05-06T12:00")), Action.VISITS_READ, MINE)) is allowed


def test_all_faults_of_the_section_are_named_at_once() -> None:
    environment = {
        "TELEHEALTH_ACCESS__BUSINESS_HOURS": "always",
        "TELEHEALTH_ACCESS__NETWORKS": "nowhere",
        "TELEHEALTH_ACCESS__COUNTRIES": "Germany",
        "TELEHEALTH_ACCESS__OUTSIDE": "shout",
        "TELEHEALTH_ACCESS__ROLES__CLINICIAN__COLOUR": "red",
    }
    with pytest.raises(ConfigRefused) as refused:
        load(None, environment)
    told = "\n".join(refused.value.faults)
    for key in ("access.business_hours", "access.networks", "access.countries", "access.outside", "colour"):
        assert key in told


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"TELEHEALTH_ACCESS__COUNTRIES": "DE"}, "country_database"),
        ({"TELEHEALTH_ACCESS__ROLES__NURSE__OUTSIDE": "alert"}, "no role nurse"),
        ({"TELEHEALTH_ACCESS__BUSINESS_HOURS": "mon-fri 07:00-19:00"}, "at night"),
    ],
)
def test_what_does_not_fit_together_is_refused(environment: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        load(None, environment)
    assert any(word in fault for fault in refused.value.faults)
