"""The first question every request meets: may this caller ask this at all, in this context?

About which thing is the room's to ask, by the same rules. Refusals are entered with their rule by the dispatcher.
"""

from dataclasses import replace

from aiohttp import web

from telehealth.access import PURPOSES, Caller, Object, decide, refusal_of, unusual_entry
from telehealth.access.asks import ROUTES
from telehealth.errors import Forbidden, Malformed
from telehealth.identity.faults import StepUpNeeded
from telehealth.log import get_logger
from telehealth.web.rooms import Rooms
from telehealth.web.route import Route

log = get_logger(__name__)
PURPOSE = "Purpose-Of-Use"  # why somebody asks, where the clinic's rules want it said


async def admitted(route: Route, request: web.Request, rooms: Rooms, caller: Caller) -> Caller:
    """The caller with the purpose they state. Raises Malformed, StepUpNeeded, Forbidden, PurposeNeeded.

    A route that the table of asks does not name is for nobody.
    """
    asked = ROUTES.get(route.name)
    if asked is None:
        log.error("access.unstated", route=route.name)  # telehealth/access/asks.py is where it belongs
        raise Forbidden
    purpose = request.headers.get(PURPOSE)
    if purpose is not None:
        if purpose not in PURPOSES:
            raise Malformed("purpose")
        caller = replace(caller, context=replace(caller.context, purpose=purpose))
    thing = Object(asked.kind, any=True)
    verdict = decide(caller, asked.action, thing)
    if verdict.rule == "mfa" and not verdict:
        raise StepUpNeeded
    if not verdict:
        raise refusal_of(caller, verdict, asked.action, thing)
    if verdict.alerts:
        entry = unusual_entry(caller, verdict, asked.action, {"request": route.name})
        await rooms.log.enter_throttled(entry, f"unusual:{caller.id}:{'+'.join(verdict.alerts)}")
    return caller
