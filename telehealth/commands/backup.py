"""`telehealth backup`: make one, look it over, bring it back, say how backups stand."""

import argparse
import asyncio
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.clock import SystemClock
from telehealth.commands import control
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.progress import tell
from telehealth.commands.said import FAILED, OK, USAGE, CommandRefused, Said
from telehealth.config import Config

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.backup.settling import Settled
    from telehealth.backup.verifying import Verdict
    from telehealth.backup.wishes import Made, Wish
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "backup", "Backups: data to one place, keys to another, both encrypted.")
    making = verb(verbs, common, "create", "Make a backup now, while the server runs or not.", housed=_create)
    making.add_argument("--to", type=Path, help="folder for database, log, recordings (default: backup.to)")
    making.add_argument("--keys-to", type=Path, help="folder for the key store (default: backup.keys_to)")
    making.add_argument("--recipient", action="append", default=[], metavar="AGE1…", help="age public key; repeatable")
    making.add_argument("--without-keys", action="store_true", help="data alone; recordings then need the living keys")
    making.add_argument("--with-objects", action="store_true", help="copy what lies in the remote store, too")
    making.add_argument("--one-filesystem-is-meant", action="store_true", help="both places may be on one filesystem")
    _places(verb(verbs, common, "verify", "Hashes, completeness, age; with --identity everything.", local=_verify))
    restoring = verb(verbs, common, "restore", "Bring a backup back into empty places.", local=_restore)
    _places(restoring)
    restoring.add_argument("--over-age-is-meant", action="store_true", help="use keys older than recording.backup_days")
    verb(verbs, common, "status", "What lies there, how old it is, what is too old.", local=_status)


def _places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="place", type=_whole_path, help="folder of the data (default: backup.to)")
    parser.add_argument("--keys-from", type=_whole_path, help="folder of the keys (default: backup.keys_to)")
    parser.add_argument("--identity", type=Path, help="age identity file")
    parser.add_argument("--set", dest="set_id", help="one backup, by its name (restore: the newest)")
    parser.add_argument("--signer", help="the signer that `backup create` named, to be compared with")


def _whole_path(text: str) -> Path:
    """The path from / on."""
    return Path(text).absolute()


async def _create(house: "House", args: argparse.Namespace) -> Said:
    configured = house.backups.configured()
    made = await house.backups.create(command_line().actor(), _wish(configured, args), tell)
    trouble = made.data.manifest.trouble if made.data else ()
    written = made.data or made.keys
    data: dict[str, Any] = {
        "set": written.manifest.id if written else None,
        "signer": written.manifest.signer if written else None,
        "with_keys": made.keys is not None,
        "objects": len(made.data.manifest.objects) if made.data else 0,
        "fresh": made.data.fresh if made.data else 0,
        "bytes": made.data.octets if made.data else 0,
        "seconds": round(made.seconds, 3),
        "pruned": made.pruned,
        "pruned_keys": made.pruned_keys,
        "trouble": [one.model_dump() for one in trouble],
    }
    return Said(data, _made_lines(made, data, house.config), FAILED if trouble else OK)


def _wish(configured: "Wish", args: argparse.Namespace) -> "Wish":
    from telehealth.backup.wishes import Wish

    for place in (args.to, args.keys_to):
        if place is not None and not place.is_absolute():
            raise CommandRefused(
                "usage", "Say a whole path, from / on: the running server stands elsewhere.", "", USAGE
            )
    return Wish(
        to=args.to or configured.to,
        keys_to=None if args.without_keys else args.keys_to or configured.keys_to,
        recipients=tuple(args.recipient) or configured.recipients,
        with_objects=args.with_objects or configured.with_objects,
        one_filesystem_is_meant=args.one_filesystem_is_meant or configured.one_filesystem_is_meant,
    )


def _made_lines(made: "Made", data: dict[str, Any], config: Config) -> list[str]:
    lines = [
        f"Backup {data['set']}: {data['objects']} sealed files, {data['fresh']} of them new, "
        f"{data['bytes'] / 1e6:.1f} MB written in {made.seconds:.1f} s.",
        f"Signed by {data['signer']}: keep this with the identity file.",
    ]
    if made.keys is None:
        lines.append("WITHOUT keys: recordings in it play only with the key store that lives on.")
    elif config.keys.provider == "file":
        lines.append(f"The root key {config.places.root_key} is NOT in it: keep a copy of it in a third place.")
    else:
        lines.append(f"The keys that {config.keys.provider} holds are NOT in it: back that up by its own means.")
    if made.pruned or made.pruned_keys:
        lines.append(f"Removed: {made.pruned} old backups of data, {made.pruned_keys} of keys.")
    lines += [f"NOT IN IT: {one['name']} ({one['code']})" for one in data["trouble"]]
    return [*lines, "Check it: telehealth backup verify"]


def _given(args: argparse.Namespace, config: Config) -> tuple[Path, Path | None]:
    place, keys = args.place or config.backup.to, args.keys_from or config.backup.keys_to
    if place is None:
        raise CommandRefused("usage", "Say where backups lie: --from and --keys-from, or backup.to.", exit_code=USAGE)
    return place, keys


def _verify(args: argparse.Namespace, config: Config) -> Said:
    from telehealth.backup.agefile import identities_in
    from telehealth.backup.verifying import Verifying

    place, keys = _given(args, config)
    verifying = Verifying(
        place,
        keys,
        identities_in(args.identity) if args.identity else [],
        backup_days=config.recording.backup_days,
        now=SystemClock().now(),
        signer=args.signer,
        tell=tell,
    )
    return _verdict(verifying.run(args.set_id))


def _verdict(verdict: "Verdict") -> Said:
    data = {
        "ok": verdict.ok,
        "sets": verdict.sets,
        "key_sets": verdict.key_sets,
        "bytes": verdict.octets,
        "opened": verdict.opened,
        "faults": [asdict(fault) for fault in verdict.faults],
    }
    if verdict.ok:
        depth = "opened and compared" if verdict.opened else "by hashes; --identity opens them"
        lines = [f"Sound: {verdict.sets} backups of data and {verdict.key_sets} of keys, {depth}."]
        return Said(data, lines, OK)
    lines = [f"  {fault.set_id}: {fault.about}: {fault.code}" for fault in verdict.faults[:50]]
    return Said(data, ["NOT SOUND:", *lines, "Make a new backup. See docs/backup.md."], FAILED)


def _restore(args: argparse.Namespace, config: Config) -> Said:
    from telehealth.backup.restoring import Order, Restoring

    place, keys = _given(args, config)
    if args.identity is None or keys is None:
        raise CommandRefused("usage", "A restore needs --identity, and --keys-from.", exit_code=USAGE)
    if control.listens(config.places.audit):
        raise CommandRefused("already_running", "A server runs in these places.", "A restore goes into empty ones.")
    clock = SystemClock()
    began = clock.steady()
    order = Order(place, keys, args.identity, args.set_id, args.signer, args.over_age_is_meant)
    done = Restoring(config, order, clock.now(), tell).run()
    settled, orphans = asyncio.run(_settled(config))
    seconds = clock.steady() - began
    destroyed = {
        "stay_destroyed": settled.recordings if settled else 0,
        "sessions_ended": settled.sessions if settled else 0,
    }
    data = {**asdict(done), **destroyed, "not_in_accord": orphans, "seconds": round(seconds, 3)}
    lines = [
        f"{done.set_id}: {done.entries} log entries, {done.rows} rows, {done.files} files; {seconds:.1f} s.",
        f"{destroyed['stay_destroyed']} recordings that had been deleted since stay deleted. Everybody is signed out.",
    ]
    if done.remote:
        lines.append(f"{done.remote} sealed files were not copied: they must still lie in the remote store.")
    lines += [f"NOT IN ACCORD: {kind}: {count}" for kind, count in orphans.items()]
    lines += [
        "What was changed after the backup is lost: look through users, tokens and links.",
        "Next: telehealth serve",
    ]
    return Said(data, lines, FAILED if orphans else OK)


async def _settled(config: Config) -> "tuple[Settled | None, dict[str, int]]":
    """Say it in the log, destroy again what was destroyed, compare store, catalogue and keys."""
    from telehealth.house import open_house

    async with open_house(config, SystemClock()) as house:
        compared = await house.storing.compare(0)
        return house.backups.settled, compared.discord.counts


def _status(_args: argparse.Namespace, config: Config) -> Said:
    from telehealth.backup.standing import look

    now: datetime = SystemClock().now()
    standing = look(config.backup, config.recording.backup_days, now)
    data = {
        "ok": not standing.codes,
        "configured": config.backup.to is not None,
        "sets": list(standing.sets),
        "key_sets": list(standing.key_sets),
        "over_age": list(standing.over_age),
        "unfinished": standing.unfinished,
        "age_hours": None if standing.age is None else round(standing.age.total_seconds() / 3600, 2),
        "overdue": standing.overdue,
        "unreachable": standing.unreachable,
    }
    if config.backup.to is None:
        return Said(data, ["No backup is configured: set [backup]. See docs/backup.md."], OK)
    age = "none" if standing.age is None else f"{standing.age.total_seconds() / 3600:.1f} hours old"
    lines = [
        f"{len(standing.sets)} backups of data, the newest {age}; {len(standing.key_sets)} of keys.",
        f"Keys are removed before they are {config.recording.backup_days} days old (recording.backup_days).",
    ]
    if standing.unfinished:
        lines.append(f"{standing.unfinished} that broke off; the next backup removes them.")
    if standing.unreachable:
        lines.append("A PLACE CANNOT BE READ: is it mounted?")
    if standing.over_age:
        lines.append(f"TOO OLD, certificates count on these being gone: {', '.join(standing.over_age)}")
    if standing.overdue:
        lines.append("OVERDUE: telehealth backup create")
    return Said(data, lines, FAILED if standing.codes else OK)
