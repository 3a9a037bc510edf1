"""What programs and the machine do that a rule should see, and the innocent thing beside it."""

from alert_people import FAILED, NO
from alert_tower import ABROAD, ELSEWHERE, HOME, Tower

from telehealth.audit.actions import Action as A


async def tries_every_door(t: Tower) -> None:
    for _ in range(10):
        await t.enter(A.ACCESS_REFUSED, NO, detail={"request": "show_user"})


async def tries_two_doors(t: Tower) -> None:
    for _ in range(2):
        await t.enter(A.ACCESS_REFUSED, NO, detail={"request": "show_user"})


async def token_asks_beyond_scope(t: Tower) -> None:
    for _ in range(3):
        await t.enter(A.ACCESS_REFUSED, NO, kind="token", who="tok_a", detail={"request": "list_users"})


async def token_asks_once_too_much(t: Tower) -> None:
    await t.enter(A.ACCESS_REFUSED, NO, kind="token", who="tok_a", detail={"request": "list_users"})


async def token_from_outside(t: Tower) -> None:
    await t.enter(A.TOKEN_TRY, NO, kind="stranger", who="", subject="tok_a", detail={"reason": "network"})


async def token_that_ended(t: Tower) -> None:
    await t.enter(A.TOKEN_TRY, NO, kind="stranger", who="", subject="tok_a", detail={"reason": "over"})


async def token_moves(t: Tower) -> None:
    await t.enter(A.VISIT_READ, kind="token", who="tok_a", address=HOME)
    await t.enter(A.VISIT_READ, kind="token", who="tok_a", address=ELSEWHERE)


async def token_moves_next_door(t: Tower) -> None:
    await t.enter(A.VISIT_READ, kind="token", who="tok_a", address=HOME)
    await t.enter(A.VISIT_READ, kind="token", who="tok_a", address="192.0.2.200")


async def token_goes_abroad(t: Tower) -> None:
    await t.enter(A.VISIT_READ, kind="token", who="tok_a", address=HOME)
    await t.enter(A.VISIT_READ, kind="token", who="tok_a", address=ABROAD)


async def token_works(t: Tower, hours: int, each: int, last: int) -> None:
    for _ in range(hours):
        await t.enter(A.VISIT_READ, kind="token", who="tok_a", detail={"count": each, "aggregated": True})
        t.clock.step(hours=1)
    for _ in range(4):
        await t.enter(A.VISIT_READ, kind="token", who="tok_a", detail={"count": last // 4, "aggregated": True})


async def token_runs_wild(t: Tower) -> None:
    await token_works(t, 30, 40, 240)


async def token_is_always_busy(t: Tower) -> None:
    await token_works(t, 30, 300, 600)


async def admits_without_log(t: Tower) -> None:
    await t.enter(A.BREAK_GLASS_ADMIT, visit="vis_a", subject="par_a")


async def admits(t: Tower) -> None:
    await t.enter(A.ADMIT, visit="vis_a", subject="par_a")


async def breaks_the_glass(t: Tower) -> None:
    await t.enter(A.BREAK_GLASS_OPEN, subject="vis_a")


async def closes_the_glass(t: Tower) -> None:
    await t.enter(A.BREAK_GLASS_CLOSE, subject="vis_a")


async def resets_a_factor(t: Tower) -> None:
    await t.enter(A.USER_RESET, subject="usr_b")


async def proves_a_factor(t: Tower) -> None:
    await t.enter(A.MFA_PROVE, subject="ses_a")


async def makes_an_admin(t: Tower) -> None:
    await t.enter(A.USER_ROLE, subject="usr_b", detail={"role": "admin", "disabled": False})


async def makes_a_clinician(t: Tower) -> None:
    await t.enter(A.USER_CREATE, subject="usr_b", detail={"role": "clinician"})


async def copies_a_passkey(t: Tower) -> None:
    await t.enter(A.PASSKEY_SUSPEND, subject="pky_a")


async def removes_a_passkey(t: Tower) -> None:
    await t.enter(A.PASSKEY_REMOVE, subject="pky_a")


async def scrub_finds_damage(t: Tower) -> None:
    await t.enter(A.RECORDING_VERIFY, FAILED, kind="system", who="server", recording="rec_a", detail={"code": "forged"})


async def scrub_finds_none(t: Tower) -> None:
    await t.enter(A.RECORDING_VERIFY, kind="system", who="server", detail={"files": 3, "damaged": 0})


async def comparison_finds_orphans(t: Tower) -> None:
    await t.enter(A.RECORDING_RECONCILE, FAILED, kind="system", who="server")


async def comparison_finds_none(t: Tower) -> None:
    await t.enter(A.RECORDING_RECONCILE, kind="system", who="server")


async def sweeps_leave_things(t: Tower) -> None:
    for _ in range(3):
        await t.enter(A.RETENTION_SWEEP, FAILED, kind="system", who="server", detail={"left": 1})


async def one_sweep_leaves_something(t: Tower) -> None:
    await t.enter(A.RETENTION_SWEEP, FAILED, kind="system", who="server", detail={"left": 1})
    await t.enter(A.RETENTION_SWEEP, kind="system", who="server", detail={"deleted": 1})


async def loses_entries(t: Tower) -> None:
    await t.enter(A.AUDIT_LOST, FAILED, kind="system", who="server", detail={"count": 2})


async def backup_fails(t: Tower) -> None:
    await t.enter(A.BACKUP, FAILED, kind="cli", who="cli")


async def backup_is_made(t: Tower) -> None:
    await t.enter(A.BACKUP, kind="cli", who="cli")
