"""People whose camera is a small coloured picture and whose microphone is a steady tone, so that gaps show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.browser.clinic import Booked, Clinic
from tests.stories.people import Patient, Person, Staff

P = TypeVar("P", bound=Person)
PARTS = Path(__file__).parent
DEVICES = (PARTS / "crowd_devices.js").read_text("utf-8")
WATCH = (PARTS / "crowd_watch.js").read_text("utf-8")
PERCEIVES = (PARTS / "crowd_perceives.js").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody is recognised by."""

    hertz: int
    colour: str


CLINICIAN, PATIENT, GUEST = Look(440, "#2050c0"), Look(660, "#c06020"), Look(880, "#209040")
SMALL: dict[str, Any] = {"viewport": {"width": 720, "height": 480}, "bypass_csp": True}


def equip(person: P, look: Look, *, watching: bool = True) -> P:
    """Give somebody this tone and picture instead of devices."""
    person.context.add_init_script(f"({DEVICES}\n)({[look.hertz, look.colour]})")
    if watching:
        person.context.add_init_script(f"({WATCH}\n)()")
    return person


def own_id(person: Person) -> str:
    """The participant a page is."""
    found: str = person.page.evaluate("() => document.querySelector('.call').dataset.self")
    return found


def gaps(person: Person) -> dict[str, dict[str, Any]]:
    """Milliseconds of the longest silence and of the longest frozen picture of each other person so far."""
    found: dict[str, dict[str, Any]] = person.page.evaluate("async () => (await window.watching).gaps()")
    return found


def stretches(person: Person) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Of each other person every silence and freeze of more than 100 ms, as [from, to] in milliseconds of wall time."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = person.page.evaluate(
        "async () => (await window.watching).stretches()"
    )
    return found


def perceives(person: Person, other: str, look: Look, seconds: float = 20) -> None:
    """Wait until somebody's own picture and tone are seen and heard."""
    red, green, blue = (int(look.colour[place : place + 2], 16) for place in (1, 3, 5))
    person.wait_for(
        f"""async ([other, hertz, red, green, blue]) => {{
          const found = await ({PERCEIVES}
)([other, hertz]);
          return found && found.frames > 5 && Math.abs(found.hertz - hertz) < 30 && found.level > -70
            && [red, green, blue].every((part, place) => Math.abs(part - found.colour[place]) < 50);
        }}""",
        [other, look.hertz, red, green, blue],
        seconds,
    )


def comes(at: Clinic, invited: Booked, guest: Patient) -> Patient:
    """A guest goes from their link to the waiting room."""
    guest.open_link(invited.url)
    if guest.page.locator("#confirm").count():
        guest.page.fill("#confirm", "II")
    guest.type_code(invited.passcode)
    guest.page.click("#ready")
    guest.page.wait_for_selector("#waiting-status")
    return guest


def company_of_three(at: Clinic, **context: Any) -> tuple[Staff, Patient, Patient]:
    """Clinician, patient and interpreter in one call, each with a tone and a colour of their own."""
    booked = at.book()
    clinician, patient = equipped_call(at, booked, **context)
    return clinician, patient, joined(at, booked, clinician, **context)


def joined(at: Clinic, booked: Booked, clinician: Staff, look: Look = GUEST, **context: Any) -> Patient:
    """A guest who was invited, came, and was let in."""
    guest = comes(at, at.invite(booked), equip(at.patient(**SMALL | context), look, watching=False))
    clinician.page.click(".admit")
    guest.page.wait_for_selector(".controls")
    return guest


def equipped_call(
    at: Clinic, booked: Booked | None = None, scripts: tuple[str, ...] = (), **context: Any
) -> tuple[Staff, Patient]:
    """A direct call of two who are watched for gaps."""
    booked = booked or at.book()
    patient, clinician = equip(at.patient(**SMALL | context), PATIENT), equip(at.staff(**SMALL | context), CLINICIAN)
    for who in (patient, clinician):
        for script in scripts:
            who.context.add_init_script(script)
    at.waiting(booked, patient)
    clinician.page.goto(f"{at.house.url}/call/{booked.visit}")
    clinician.page.click(".admit")
    patient.page.wait_for_selector(".controls")
    return clinician, patient
