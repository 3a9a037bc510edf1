"""`telehealth doctor media`: a test leg there and back by every way that browsers are told, and what stands in it."""

import argparse
import asyncio
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, Literal

from telehealth.commands import control
from telehealth.commands.config import config_of
from telehealth.commands.findings import Finding, told
from telehealth.commands.said import CommandRefused, Said
from telehealth.config import Config
from telehealth.errors import Refusal

if TYPE_CHECKING:  # loads the media edge, which no other command needs
    from signaling.rtc.probe import Destination, Probed
    from telehealth.commands.sounding import Sounding
    from telehealth.reach.room import Reach

Transport = Literal["udp", "tcp"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("udp", "tcp")
BUFFER: Final = 4 * 1024 * 1024  # octets that the media port asks of the kernel
LOSS: Final = 0.02  # share of packets from which people hear it
SLOW: Final = 0.15  # seconds of round trip from which they notice

FAULTS: Final = {
    "refused": "nobody listens there",
    "unreachable": "there is no way to that address from here",
    "no_answer": "nothing came back",
    "handshake": "connection checks are answered, but the DTLS handshake does not end",
    "fingerprint": "another server answers there",
    "no_reports": "connected, but nothing said that the tone arrived",
    "cut": "the connection was cut",
}


def add_to(doctor: argparse.ArgumentParser) -> None:
    """`doctor media`, and the words by which it asks a running server."""
    doctor.add_argument("part", nargs="?", choices=("media",), help="send and receive a test leg on the media port")
    doctor.add_argument("--offer", help=argparse.SUPPRESS)
    doctor.add_argument("--transport", choices=TRANSPORTS, default="udp", help=argparse.SUPPRESS)
    doctor.set_defaults(attended=answer)


async def answer(reach: "Reach", args: argparse.Namespace) -> Said:
    """In the running server: answer a test offer. Raises a Refusal."""
    if args.part != "media" or not args.offer:
        raise CommandRefused("usage", "Run this beside the server, not in it.")
    begun = await reach.begin(f"doctor {token_hex(4)}", args.offer, (args.transport,))  # bounded in all alone
    return Said({"sdp": begun.sdp, "stats": dict(reach.port_stats())})


def media(args: argparse.Namespace) -> Said:
    """Look; 0: every way works, 1: one does not, 2: the configuration is refused. Raises ConfigRefused."""
    from telehealth.commands.sounding import sound  # loads the media edge, which no other command needs

    config = config_of(args)
    running = control.listens(config.places.audit)
    try:
        found = _findings(config, running, asyncio.run(sound(config, running=running)))
    except OSError as error:
        found = [_taken(config, error)]
    except (Refusal, CommandRefused) as refused:
        found = [_refused(refused)]
    return told(found, "Media gets through. From outside: open /check on a phone that is not on this network.")


def _findings(config: Config, running: bool, sounding: "Sounding") -> list[Finding]:
    where = "in the running server" if running else "on a port opened for this look: no server runs"
    found = [Finding("media", "well", f"tested {where}", code="running" if running else "not_running")]
    found += _configured(config) + _kernel(sounding.stats)
    loop = "compiled" if sounding.stats.get("compiled") else "Python alone (no compiler at set-up, or media.compiled)"
    found.append(Finding("packet loop", "well", loop))
    for transport in sounding.missing:
        found.append(Finding(transport, "wrong", "the server offers no such way", "Set media.tcp.", "not_offered"))
    inside: set[str] = set()  # transports by which some address of the server answered
    for one in sounding.tried:
        transport = one.probed.destination.transport
        found.append(_finding(one.probed, told=one.told, inside=transport in inside))
        if not one.probed.fault:
            inside.add(transport)
    return found


def _taken(config: Config, error: OSError) -> Finding:
    what = f"{', '.join(config.media.host)}:{config.media.port}: {error.strerror or 'cannot be opened'}"
    mend = "Stop what uses it (see: ss -lnup), or choose another media.port."
    return Finding("media.port", "wrong", what, mend, "port_taken")


def _refused(refused: Refusal | CommandRefused) -> Finding:
    code = refused.code if isinstance(refused, Refusal) else str(refused.said.data.get("error", "refused"))
    text = refused.message if isinstance(refused, Refusal) else str(refused.said.data.get("message", ""))
    return Finding("media", "wrong", text, "Try again in half a minute; the server's log says more.", code)


def _finding(probed: "Probed", *, told: bool, inside: bool) -> Finding:
    """`told`: browsers are told this address; `inside`: another address of this machine answered already."""
    to = probed.destination
    what = f"{to.transport} {_spelled(to.address)}:{to.port}"
    if not probed.fault:
        return _worked(probed, what)
    text = FAULTS.get(probed.fault, probed.fault)
    code = f"{to.transport}_{probed.fault}"
    if told and inside and not _ours(to.address):
        text = f"no way from this machine: {text}"
        mend = f"Often so behind a router, from inside. From outside, {_open_hint(to)}, and forwarded to this machine."
        return Finding(what, "note", text, mend, code)
    return Finding(what, "wrong", text, _mend(probed.fault, to), code)


def _worked(probed: "Probed", what: str) -> Finding:
    trip = (probed.round_trip or 0.0) * 1000
    text = f"{probed.sent} packets sent, {probed.loss:.1%} lost, round trip {trip:.1f} ms, reports came back"
    if probed.loss > LOSS:
        mend = "Look at this machine's load and at kernel drops above; about 20 %: large packets do not pass (MTU)."
        return Finding(what, "wrong", text, mend, "media_lost")
    if trip > SLOW * 1000:
        return Finding(what, "note", text, "Far away, or this machine is busy: people notice it.", "slow_round_trip")
    return Finding(what, "well", text)


def _mend(fault: str, to: "Destination") -> str:
    if fault == "fingerprint":
        return f"Something else than this server uses {to.transport.upper()} port {to.port} there: see ss -lnp."
    if fault in ("handshake", "no_reports"):
        return "A firewall lets small packets through and drops large ones or answers: allow both directions, any size."
    if fault == "unreachable":
        return "Correct media.public_addresses, or this machine's routes (ip route)."
    return f"The firewall: {_open_hint(to)}, in both directions."


def _open_hint(to: "Destination") -> str:
    """How a port is opened on this machine, by what is installed here."""
    wanted = f"{to.port}/{to.transport}"
    if Path("/etc/ufw/ufw.conf").exists():
        return f"it must be open: sudo ufw allow {wanted}"
    if Path("/run/firewalld").exists():
        return f"it must be open: sudo firewall-cmd --permanent --add-port={wanted}; sudo firewall-cmd --reload"
    return f"{to.transport.upper()} port {to.port} must be open (and in the cloud's security group)"


def _configured(config: Config) -> list[Finding]:
    """What the configuration alone says."""
    found = []
    if all(ip_address(one).is_loopback for one in config.media.reachable):
        mend = "Set media.host and media.public_addresses before real use."
        found.append(Finding("media.host", "note", "browsers are told a loopback address alone", mend, "loopback"))
    if not config.media.tcp:
        found.append(Finding("media.tcp", "note", "off: networks that block UDP need TURN", "Set media.tcp.", "no_tcp"))
    if not config.media.turn_urls:
        mend = "Networks that let only port 443 out need one: media.turn_urls, with turns:…:443?transport=tcp."
        found.append(Finding("media.turn_urls", "note", "there is no TURN server", mend, "no_turn"))
    return found


def _kernel(stats: Mapping[str, Any]) -> list[Finding]:
    size, drops = int(stats.get("receive_buffer", 0)), int(stats.get("kernel_drops", 0))
    text = f"the kernel grants {size // 1024} KiB of {BUFFER // 1024} KiB"
    found = [Finding("receive buffer", "well", text)]
    if size < BUFFER:
        mend = f"sudo sysctl -w net.core.rmem_max={BUFFER}, and the same in /etc/sysctl.d/90-telehealth.conf; restart."
        found = [Finding("receive buffer", "note", text, mend, "small_buffer")]
    if drops:
        mend = "A larger buffer (above), fewer calls at once, or [media] workers on more cores."
        found.append(Finding("kernel drops", "note", f"{drops} datagrams since the start", mend, "kernel_drops"))
    return found


def _ours(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as trying:
        try:
            trying.bind((address, 0))
        except OSError:
            return False
    return True


def _spelled(address: str) -> str:
    return f"[{address}]" if ":" in address else address
