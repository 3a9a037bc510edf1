"""Where several servers keep logs, what one of them tells says whose it is, and whose were not looked into."""

from sqlalchemy import insert

from telehealth.store.tables import server_logs

from .conftest import Desk
from .test_audit_reports import AUDIT, key_of
from .test_visits import booked


async def test_reports_and_stories_name_the_servers_whose_logs_they_leave_out(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    admin, _ = await desk.enrolled("admin", "eve")
    async with ada, admin:
        made = await booked(ada)
        places = [f"report?patient={await key_of(admin)}", "disclosures", f"visits/{made['visit']['id']}/story"]
        for place in places:
            told = await (await admin.get(f"{AUDIT}/{place}")).json()
            assert told.get("covers") == {"server": "", "missing": []}, (place, told)
        now = desk.house.clock.now()
        rows = [{"name": name, "address": f"{name}.clinic.example:8443", "started_at": now} for name in ("b", "a")]
        async with desk.house.base.store.begin() as connection:
            await connection.execute(insert(server_logs), rows)
        missing = [{"name": name, "address": f"{name}.clinic.example:8443"} for name in ("a", "b")]
        for place in places:
            told = await (await admin.get(f"{AUDIT}/{place}")).json()
            assert told["covers"] == {"server": "", "missing": missing}, place
