"""What people do that a rule should see, and the innocent thing beside it."""

from collections.abc import Awaitable, Callable

from alert_tower import ABROAD, ELSEWHERE, HOME, Tower

from telehealth.audit.actions import Action as A
from telehealth.audit.entry import Outcome

NO, DONE, FAILED, INTENT = Outcome.REFUSED, Outcome.DONE, Outcome.FAILED, Outcome.INTENT
Story = Callable[[Tower], Awaitable[None]]


async def fails(tower: Tower, count: int, minutes: float = 0.5, **more: object) -> None:
    for _ in range(count):
        await tower.enter(A.SIGNIN_TRY, NO, kind="stranger", who="", **more)  # type: ignore[arg-type]
        tower.clock.step(minutes=minutes)


async def guesses_one_account(t: Tower) -> None:
    await fails(t, 5, subject="usr_a")


async def forgets_for_an_hour(t: Tower) -> None:
    await fails(t, 5, minutes=14, subject="usr_a")


async def sprays_accounts(t: Tower) -> None:
    await t.enter(A.SIGNIN_TRY, NO, kind="stranger", who="", address=ABROAD)
    more = {"count": 19, "seconds": 50, "aggregated": True}
    await t.enter(A.SIGNIN_TRY, NO, kind="stranger", who="", address=ABROAD, detail=more)


async def many_forget_at_many_places(t: Tower) -> None:
    for last in range(20):
        await t.enter(A.SIGNIN_TRY, NO, kind="stranger", who="", address=f"192.0.2.{last}")


async def guesses_codes(t: Tower) -> None:
    for _ in range(4):
        await t.enter(A.CODE_TRY, NO, kind="participant", who="par_a", subject="lnk_a", visit="vis_a")


async def mistypes_a_code(t: Tower) -> None:
    for _ in range(3):
        await t.enter(A.CODE_TRY, NO, kind="participant", who="par_a", subject="lnk_a", visit="vis_a")
    await t.enter(A.IDENTITY_VERIFIED, kind="participant", who="par_a", subject="lnk_a", visit="vis_a")


async def guesses_codes_of_three_visits(t: Tower) -> None:
    for visit in "abc":
        await t.enter(
            A.CODE_TRY, NO, kind="participant", who=f"par_{visit}", subject=f"lnk_{visit}", visit=f"vis_{visit}"
        )


async def a_family_mistypes_one(t: Tower) -> None:
    for _ in range(3):
        await t.enter(A.CODE_TRY, NO, kind="participant", who="par_a", subject="lnk_a", visit="vis_a")


async def signs_in(t: Tower, address: str, device: str = "Firefox 140, Windows", who: str = "usr_a") -> None:
    await t.enter(A.SIGNIN_OK, address=address, device=device, who=who, subject=who)
    t.clock.step(hours=1)


async def travels(t: Tower) -> None:
    await t.enter(A.MFA_ENROL, subject="usr_a")
    await signs_in(t, ABROAD)


async def moves_within_the_country(t: Tower) -> None:
    await t.enter(A.MFA_ENROL, subject="usr_a")
    await signs_in(t, ELSEWHERE)
    await signs_in(t, ABROAD, who="usr_b")  # the first place of somebody else
    await signs_in(t, "10.0.0.8")  # in no country


async def takes_another_device(t: Tower) -> None:
    await signs_in(t, HOME, "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0")
    await signs_in(t, HOME, "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Safari/604.1")


async def updates_the_browser(t: Tower) -> None:
    for version in ("140", "141"):
        agent = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        await signs_in(t, HOME, agent)


async def plays(t: Tower, count: int, minutes: float, who: str = "usr_a", kind: str = "user") -> None:
    for number in range(count):
        await t.enter(A.PLAYBACK_GRANT, who=who, kind=kind, recording=f"rec_x{number}")
        t.clock.step(minutes=minutes)


async def plays_everything(t: Tower) -> None:
    await plays(t, 15, 1)


async def plays_one_again_and_again(t: Tower) -> None:
    for _ in range(40):
        await t.enter(A.PLAYBACK_GRANT, recording="rec_one")
    await plays(t, 13, 1)


async def exports(t: Tower, count: int, hours: float) -> None:
    for number in range(count):
        await t.enter(A.RECORDING_EXPORT, recording=f"rec_x{number}")
        t.clock.step(hours=hours)


async def exports_four(t: Tower) -> None:
    await exports(t, 4, 1)


async def exports_one_a_day(t: Tower) -> None:
    await exports(t, 5, 24)


async def deletes_five(t: Tower) -> None:
    for number in range(5):
        await t.enter(A.RECORDING_DELETE, Outcome.INTENT, recording=f"rec_x{number}")


async def the_sweeper_deletes_many(t: Tower) -> None:
    for number in range(9):
        await t.enter(A.RECORDING_DELETE, kind="system", who="server", recording=f"rec_x{number}")


async def comes_from_outside_a_bound(t: Tower) -> None:
    await t.enter(A.ACCESS_UNUSUAL, detail={"bound": "network"})


async def asks_why(t: Tower) -> None:
    await t.enter(A.ACCESS_EXPLAIN)


async def is_restored(t: Tower) -> None:
    await t.enter(A.RESTORE, kind="system", who="server")


async def reads_forty_patients(t: Tower) -> None:
    for number in range(40):
        await t.enter(A.VISIT_READ, visit=f"vis_{number}", patient=f"pat_{number}")


async def reads_one_patient_often(t: Tower) -> None:
    for number in range(60):
        await t.enter(A.VISIT_READ, visit=f"vis_{number}", patient="pat_one")


async def takes_the_log_out(t: Tower) -> None:
    await t.enter(A.AUDIT_EXPORT)


async def reads_the_log(t: Tower) -> None:
    await t.enter(A.AUDIT_READ)


async def plays_at_night(t: Tower) -> None:
    t.clock.step(hours=17)  # 04:00 in Vienna
    await t.enter(A.PLAYBACK_GRANT, recording="rec_a")


async def plays_in_the_morning(t: Tower) -> None:
    t.clock.step(hours=20)  # 07:00
    await t.enter(A.PLAYBACK_GRANT, recording="rec_a")


async def plays_a_colleagues(t: Tower) -> None:
    [recording] = await t.recordings(1, "usr_b")
    await t.enter(A.PLAYBACK_GRANT, recording=recording)


async def plays_own(t: Tower) -> None:
    [recording] = await t.recordings(1, "usr_a")
    await t.enter(A.PLAYBACK_GRANT, recording=recording)
