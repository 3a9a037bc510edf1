"""`telehealth doctor`: what is wrong on this machine, and how to mend it. Changes nothing."""

import argparse
import errno
import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from recordings.vault.home import MARKER, Home, VaultAway
from telehealth import places
from telehealth.clock import SystemClock
from telehealth.commands import control, doctor_components, doctor_media, doctor_rights, doctor_tls
from telehealth.commands.findings import Finding, told
from telehealth.commands.grammar import Subparsers, verb
from telehealth.commands.said import Said
from telehealth.config import Config, ConfigRefused, load
from telehealth.identity.breached import PasswordRules
from telehealth.keys.shelf import apart

ROOT = Path(__file__).resolve().parents[2]
LEAST_PYTHON = (3, 11)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)  # a clock before this is wrong


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    text = "Look over config, ports, disk, clock and keys; says how to mend."
    doctor_media.add_to(verb(nouns, common, "doctor", text, local=_doctor))


def _doctor(args: argparse.Namespace, _config: object) -> Said:
    if args.part == "media":
        return doctor_media.media(args)
    return told(list(_look(args.config)), "All well. Next: telehealth serve")


def _look(path: Path | None) -> Iterator[Finding]:
    here = Path("config.toml")
    path = path or (here if here.is_file() else None)
    yield _python()
    yield from doctor_components.components(ROOT, SystemClock().now().date())
    try:
        config = load(path)
    except ConfigRefused as refused:
        for fault in refused.faults:
            yield Finding("config", "wrong", fault, f"Correct it in {path or 'the environment (TELEHEALTH_…)'}")
        return
    yield Finding("config", "well", f"read from {path}" if path else "defaults and environment")
    yield _clock()
    yield from _folders(config)
    yield from _vault(config)
    yield _disk(config)
    yield _key(config)
    yield from _second(config)
    yield from _ports(config)
    yield from _files(config)
    yield _passwords(config)
    yield from doctor_tls.tls(config, SystemClock().now())
    yield from doctor_rights.rights(config)
    yield from _backups(config)
    yield from _outward(config)
    yield _pages()


def _python() -> Finding:
    text = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info >= LEAST_PYTHON:
        return Finding("python", "well", text)
    return Finding("python", "wrong", text, "Install Python 3.11 or newer.")


def _clock() -> Finding:
    now = SystemClock().now()
    if now < BUILT:
        return Finding(
            "clock", "wrong", f"{now:%Y-%m-%d %H:%M} UTC lies in the past", "Set it: timedatectl set-ntp true"
        )
    if Path("/run/systemd/timesync").exists() and not Path("/run/systemd/timesync/synchronized").exists():
        return Finding(
            "clock", "note", "not synchronised", "timedatectl set-ntp true; sign-in codes fail when it is 30 s off"
        )
    return Finding("clock", "well", f"{now:%Y-%m-%d %H:%M} UTC")


def _folders(config: Config) -> Iterator[Finding]:
    for name, folder in places.folders(config).items():
        yield _folder(name, folder)
    paths = (config.places.keys, config.places.recordings, config.places.root_key.parent)
    if not all(path.exists() for path in paths) or not places.together(config):
        return
    if config.server.loopback or config.places.one_filesystem_is_meant:
        yield Finding("places", "note", "keys and recordings on one filesystem", "Before real use, put them on two.")
    else:
        yield Finding("places", "wrong", "keys and recordings on one filesystem", places.OneFilesystem.message)


def _folder(name: str, folder: Path) -> Finding:
    what = f"places.{name}"
    if not folder.exists():
        parent = next((above for above in folder.absolute().parents if above.exists()), Path("/"))
        if os.access(parent, os.W_OK):
            return Finding(what, "well", f"{folder} will be made at the first start")
        return Finding(what, "wrong", f"{folder} cannot be made", f"sudo install -d -m 700 -o $USER {folder}")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(what, "wrong", f"{folder} is not writable for us", f"sudo chown -R $USER {folder}")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding(what, "wrong", f"{folder} is open to others", f"chmod 700 {folder}")
    return Finding(what, "well", str(folder))


def _vault(config: Config) -> Iterator[Finding]:
    """Whether the folder of recordings bears the marker that is kept beside the keys."""
    folder, kept = config.places.recordings, config.places.keys / MARKER
    try:
        if not kept.exists():
            return  # before the first start
        Home(folder, kept).check()
    except VaultAway as away:
        mend = f"Mount its disk. If you moved the recordings there yourself: cp {kept} {folder / MARKER}"
        yield Finding("vault", "wrong", str(away.message), mend)
    except OSError as error:
        yield Finding("vault", "wrong", f"{folder}: {os.strerror(error.errno or 0)}", "Look at its disk.")
    else:
        yield Finding("vault", "well", "the folder of recordings is the one this server writes to")


def _disk(config: Config) -> Finding:
    folder = config.places.recordings.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free for recordings"
    if free < config.recording.least_free_bytes:
        return Finding("disk", "wrong", text, "Recordings are refused below recording.least_free_bytes: make room.")
    if free < 10 * config.recording.least_free_bytes:
        return Finding("disk", "note", text, "About 1 GB goes per recorded hour of two people.")
    return Finding("disk", "well", text)


def _key(config: Config) -> Finding:
    path = config.places.root_key
    if config.keys.provider != "file":
        return Finding("keys", "well", f"held by {config.keys.provider}; telehealth keys status asks it")
    if not path.exists():
        if (config.places.keys / "provider").exists():
            return Finding("keys", "wrong", f"{path} is missing", "Restore it from its copy: nothing opens without it.")
        return Finding("keys", "well", f"{path} will be made at the first start")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("keys", "wrong", f"{path} is readable for others", f"chmod 600 {path}")
    return Finding("keys", "well", f"{path} is there; keep a copy apart from the recordings")


def _second(config: Config) -> Iterator[Finding]:
    """The key store's second place: there, on another disk, and holding the same."""
    first, second = config.places.keys / "shares", config.places.keys_second
    if not first.exists():
        return
    if second is None:
        mend = "Set places.keys_second, best on another disk, and start again: a start fills it."
        yield Finding("places.keys_second", "note", "the key store lies in one place", mend)
    elif not second.exists():
        yield Finding("places.keys_second", "wrong", f"{second} is missing", "Mount it, then start: a start fills it.")
    elif min(apart(first, second), apart(first, second)):  # twice: a server may be writing just now
        yield Finding("places.keys_second", "wrong", "the two places differ", "telehealth serve heals it at its start.")
    elif first.stat().st_dev == second.stat().st_dev:
        yield Finding("places.keys_second", "note", "on the same filesystem as places.keys", "Move it to another disk.")
    else:
        yield Finding("places.keys_second", "well", "both places of the key store hold the same")


def _ports(config: Config) -> Iterator[Finding]:
    if _running(config):
        yield Finding("server", "well", f"running at {config.public_url}")
        return
    yield _port("server.port", config.server.host, config.server.port, socket.SOCK_STREAM)
    for host in config.media.host:
        yield _port("media.port", host, config.media.port, socket.SOCK_DGRAM)
        if config.media.tcp:
            yield _port("media.port (TCP)", host, config.media.port, socket.SOCK_STREAM)


def _running(config: Config) -> bool:
    return control.listens(config.places.audit)


def _port(what: str, host: str, port: int, kind: socket.SocketKind) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as trying:
        if kind is socket.SOCK_STREAM:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((host, port))
        except OSError as error:
            return Finding(what, "wrong", f"{host}:{port}: {os.strerror(error.errno or 0)}", _mend_port(error, what))
    return Finding(what, "well", f"{host}:{port} is free")


def _mend_port(error: OSError, what: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Stop what uses it (see: ss -lntup), or choose another {what}."
    if error.errno == errno.EACCES:
        return f"Ports below 1024 need a right: choose another {what}, or CAP_NET_BIND_SERVICE."
    return f"Correct {what.split('.')[0]}.host."


def _files(config: Config) -> Iterator[Finding]:
    for what, path in (
        ("media.turn_secret_file", config.media.turn_secret_file),
        ("mail.password_file", config.mail.password_file),
        ("sms.token_file", config.sms.token_file),
        ("server.clinic_logo", config.server.clinic_logo),
    ):
        if path is not None and not os.access(path, os.R_OK):
            yield Finding(what, "wrong", f"{path} cannot be read", "Correct the path, or its rights.")


def _passwords(config: Config) -> Finding:
    what = "sessions.breached_passwords"
    if config.sessions.breached_passwords is None:
        mend = "Name a sorted list of SHA-1 hashes of breached passwords: new ones are then held against it."
        return Finding(what, "note", "no list of breached passwords", mend, "no_breached_list")
    try:
        PasswordRules(config.sessions.breached_passwords)
    except ConfigRefused as refused:
        return Finding(what, "wrong", "; ".join(refused.faults), "Correct the path, or sort the list.")
    return Finding(what, "well", "new passwords are held against a list of breached ones")


def _backups(config: Config) -> Iterator[Finding]:
    """How old the newest is, and whether keys lie longer than certificates say."""
    from telehealth.backup.standing import look

    if config.backup.to is None:
        yield Finding("backup", "note", "none is configured", "Set [backup] before real use: docs/backup.md.")
        return
    standing = look(config.backup, config.recording.backup_days, SystemClock().now())
    if standing.unreachable:
        yield Finding("backup", "wrong", "a place cannot be read", "Mount backup.to and backup.keys_to.")
    if standing.over_age:
        mend = "telehealth backup create removes them; certificates of deletion count on it."
        yield Finding("backup", "wrong", f"{len(standing.over_age)} backups of keys are too old", mend)
    if standing.overdue:
        yield Finding("backup", "wrong", "the newest is too old, or there is none", "telehealth backup create")
    if not standing.codes:
        yield Finding("backup", "well", f"{len(standing.sets)} of data, {len(standing.key_sets)} of keys")


def _outward(config: Config) -> Iterator[Finding]:
    """The systems that get the log's entries."""
    from telehealth.outward.looking import look

    for seen in look(config.outward, config.places.audit):
        yield Finding(*seen)


def _pages() -> Finding:
    script = ROOT / "node_modules" / "socket.io-client" / "dist" / "socket.io.esm.min.js"
    if script.is_file():
        return Finding("pages", "well", "the browser script is there")
    return Finding("pages", "wrong", "the browser script is missing", "make setup")
