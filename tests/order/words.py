"""Every command, how it stands to the log, and how it is given."""

from telehealth.audit.actions import Action
from telehealth.ids import Kind, new_id
from tests.order import care
from tests.order.cast import ada_of
from tests.order.people import token
from tests.order.place import NAME, PARTIES, Ask, Place, Reply
from tests.order.recordings import approve_deletion as deletion_approved
from tests.order.recordings import asked_deletion, recording_of
from tests.order.registers import ITEMS, added
from tests.order.sorts import Prepare, Shows, Ways, closes, opens, read

A = Action
ASSOCIATE = tuple(word for name, value in ITEMS["associate"].items() for word in ("--set", f"{name}={value}"))
DEIDENTIFIED = ("--deidentified", "statistics", "--purpose", "quality")


def giving(place: Place, *words: str) -> Ask:
    async def asked() -> Reply:
        return await place.command(*words)

    return asked


def plain(*words: str) -> Prepare:
    """A command that needs nothing beforehand."""

    async def prepare(place: Place) -> Ask:
        return giving(place, *words)

    return prepare


async def add_user(place: Place) -> Ask:
    return giving(place, "user", "add", new_id(Kind.USER)[4:12], "--name", "New", "--role", "auditor")


def on_user(verb: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        ada = await place.member("clinician")
        if verb == "enable":
            assert (await place.command("user", "disable", ada.login)).done
        return giving(place, "user", verb, ada.login)

    return prepare


async def create_token(place: Place) -> Ask:
    ada = await ada_of(place)
    return giving(place, "token", "create", "x", "--user", ada.login, "--scope", "metrics")


def on_token(verb: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        return giving(place, "token", verb, (await token(place))["id"])

    return prepare


async def create_visit(place: Place) -> Ask:
    return giving(place, "visit", "create", "--clinician", (await ada_of(place)).login, "--patient", NAME)


def team(word: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        ada, bob = await ada_of(place), await place.member("clinician")
        visit = (await place.booked(ada))["visit"]["id"]
        if word == "--remove":
            assert (await place.command("visit", "team", visit, "--add", bob.login)).done
        return giving(place, "visit", "team", visit, word, bob.login)

    return prepare


async def show_recording(place: Place) -> Ask:
    return giving(place, "recording", "show", await recording_of(place))


async def verify_recording(place: Place) -> Ask:
    return giving(place, "recording", "verify", await recording_of(place))


async def rewrap(place: Place) -> Ask:
    await recording_of(place)
    await place.house.keyring.rotate()
    return giving(place, "keys", "rewrap")


async def explain(place: Place) -> Ask:
    made = await place.booked(await ada_of(place))
    return giving(place, "access", "explain", (await ada_of(place)).login, "visits.read", made["visit"]["id"])


async def close_glass(place: Place) -> Ask:
    _, glass = await care.broken(place)
    return giving(place, "access", "close", glass)


async def acknowledge(place: Place) -> Ask:
    return giving(place, "alerts", "acknowledge", await care.alert_of(place), "--note", "looked at")


def on_associate(verb: str, *more: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        return giving(place, "register", verb, "associates", await added(place, "associate"), *more)

    return prepare


async def certificate(place: Place) -> Ask:
    reply = await (await deletion_approved(place))()
    assert reply.done, reply
    return giving(place, "recording", "certificate", reply.said["id"])


async def export_piece(place: Place) -> Ask:
    return giving(place, "recording", "export-piece", await care.finished_export(place))


async def incident(place: Place) -> Ask:
    return giving(place, "alerts", "incident", await care.alert_of(place), "--to", str(place.folder))


async def delete_recording(place: Place) -> Ask:
    return giving(place, "recording", "delete", await recording_of(place, own=True), "--reason", "error")


async def delete_part(place: Place) -> Ask:
    recording = await recording_of(place, own=True)
    return giving(place, "recording", "delete-part", recording, PARTIES[0].participant, "--reason", "withdrawal")


async def refuse_deletion(place: Place) -> Ask:
    return giving(place, "recording", "refuse", await asked_deletion(place))


async def approve_deletion(place: Place) -> Ask:
    return giving(place, "recording", "approve", await asked_deletion(place))


async def begin_export(place: Place) -> Ask:
    words = ("--protection", "passphrase", "--secret", "a long pass phrase for tests")
    return giving(place, "recording", "export-begin", await recording_of(place, own=True), *words)


async def remove_export(place: Place) -> Ask:
    return giving(place, "recording", "export-remove", await care.finished_export(place))


async def story(place: Place) -> Ask:
    return giving(place, "audit", "story", (await place.booked(await ada_of(place)))["visit"]["id"])


COMMANDS: Ways = {
    "serve": (Shows("starts; what it opens has entries of its own"),),
    "doctor": (Shows("what is wrong"),),
    "user add": (opens(add_user, A.USER_CREATE),),
    "user list": (Shows("the staff, no patient"),),
    "user disable": (closes(on_user("disable"), A.USER_DISABLE),),
    "user enable": (opens(on_user("enable"), A.USER_ENABLE),),
    "user reset": (opens(on_user("reset"), A.USER_RESET),),
    "token create": (opens(create_token, A.TOKEN_CREATE),),
    "token rotate": (opens(on_token("rotate"), A.TOKEN_ROTATE),),
    "token list": (Shows("labels and scopes, no secret"),),
    "token revoke": (closes(on_token("revoke"), A.TOKEN_REVOKE),),
    "visit create": (opens(create_visit, A.VISIT_CREATE),),
    "visit team": (
        opens(team("--add"), A.TEAM_ADD),
        closes(team("--remove"), A.TEAM_REMOVE),
        Shows("the names of colleagues on a visit"),
    ),
    "visit list": (opens(plain("visit", "list"), A.VISIT_READ),),
    "access explain": (opens(explain, A.ACCESS_EXPLAIN),),
    "access matrix": (Shows("the rules"),),
    "access glasses": (Shows("who reached which visit and why, no patient"),),
    "access close": (closes(close_glass, A.BREAK_GLASS_CLOSE),),
    "alerts list": (opens(plain("alerts", "list", "--state", "past"), A.AUDIT_READ),),
    "alerts acknowledge": (opens(acknowledge, A.ALERT_ACKNOWLEDGE),),
    "alerts rules": (Shows("rules"),),
    "alerts try": (opens(plain("alerts", "try", "--days", "1"), A.AUDIT_READ),),
    "alerts review": (Shows("a week in figures"),),
    "register list": (opens(plain("register", "list", "findings"), A.REGISTER_READ),),
    "register show": (opens(on_associate("show"), A.REGISTER_READ),),
    "register export": (opens(plain("register", "export", "findings"), A.REGISTER_EXPORT),),
    "register add": (opens(plain("register", "add", "associates", *ASSOCIATE), A.REGISTER_ADD),),
    "register change": (opens(on_associate("change", "--set", "service=backup"), A.REGISTER_READ, A.REGISTER_CHANGE),),
    "privacy due": (Shows("ids and days of visits, no patient"),),
    "privacy export": (opens(plain("privacy", "export", *DEIDENTIFIED), A.PRIVACY_EXPORT),),
    "alerts incident": (opens(incident, A.INCIDENT_OPEN),),
    "drill breach": (Shows("a rehearsal in a house of its own"),),
    "outward status": (Shows("what waits for which collector"),),
    "outward resend": (read("telehealth.commands.outward:_resend", A.AUDIT_EXPORT),),
    "backup create": (read("telehealth.backup.backups:Backups.create", A.BACKUP),),
    "backup verify": (Shows("whether a backup is whole"),),
    "backup status": (Shows("ages of backups"),),
    "backup restore": (Shows("puts back what was there; entered in the log it brings back"),),
    "recording delete": (opens(delete_recording, A.RECORDING_DELETE),),
    "recording delete-part": (opens(delete_part, A.RECORDING_PART_DELETE),),
    "recording deletions": (Shows("wishes by ids and codes, no patient"),),
    "recording approve": (opens(approve_deletion, A.RECORDING_DELETE),),
    "recording refuse": (closes(refuse_deletion, A.RECORDING_DELETE_REFUSE),),
    "recording certificate": (opens(certificate, A.CERTIFICATE_READ),),
    "recording export": (Shows("asks for an export and takes it, by the commands below"),),
    "recording export-begin": (opens(begin_export, A.RECORDING_EXPORT),),
    "recording export-show": (Shows("how far it is"),),
    "recording export-piece": (opens(export_piece, A.RECORDING_DOWNLOAD),),
    "recording export-cancel": (
        Shows("stops what its entry began; how that ended, and by whom, is that entry's outcome"),
    ),
    "recording export-remove": (closes(remove_export, A.EXPORT_REMOVE),),
    "recording reconcile": (Shows("which files nobody knows; the round is entered at its end"),),
    "recording list": (Shows("times and sizes, no patient"),),
    "recording show": (opens(show_recording, A.RECORDING_READ),),
    "recording verify": (opens(verify_recording, A.RECORDING_VERIFY),),
    "recording verify-certificate": (Shows("what stands in a file that one has"),),
    "audit verify": (Shows("whether the log is sound"),),
    "audit prove": (opens(plain("audit", "prove", "0"), A.AUDIT_EXPORT),),
    "audit rotate-key": (opens(plain("audit", "rotate-key"), A.KEYS_ROTATE),),
    "audit tail": (opens(plain("audit", "tail"), A.AUDIT_READ),),
    "audit story": (opens(story, A.AUDIT_READ),),
    "audit report": (opens(plain("audit", "report", "--patient", NAME), A.AUDIT_READ),),
    "audit disclosures": (opens(plain("audit", "disclosures"), A.AUDIT_READ),),
    "audit export": (opens(plain("audit", "export"), A.AUDIT_EXPORT),),
    "keys status": (Shows("ages of keys"),),
    "keys rotate": (opens(plain("keys", "rotate"), A.KEYS_ROTATE),),
    "keys rewrap": (opens(rewrap, A.KEYS_ROTATE),),
}
