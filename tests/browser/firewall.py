"""A network without UDP: a namespace of its own, out of which some TCP ports lead; every datagram is swallowed.

Needs the rights to make one (root has them); without them `walled` gives a browser whose own policy keeps it from UDP.
"""

import asyncio
import ctypes
import fcntl
import os
import shlex
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.clinic import CAMERAS, Clinic
from tests.chromium import WHOLE
from tests.stories.people import chromium

TRUSTING = "--ignore-certificate-errors"  # coturn's certificate is of an authority that nobody knows
NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp"  # what a browser does behind a proxy that it must use

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _TUN, _NO_HEAD = 0x400454CA, 0x0001, 0x1000
_SIOCSIFFLAGS, _UP, _RUNNING = 0x8914, 0x1, 0x40
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_ADDRESS, _MASK = "10.66.0.2", "255.255.255.0"


class Firewall:
    """Whoever is behind it reaches 127.0.0.1 at the ports of `tcp` (there → here), and nothing else in the world.

    Datagrams to the ports of `udp` get no answer, not even a refusal; `swallowed` counts them. Raises OSError where
    this process may make no network of its own.
    """

    def __init__(self, tcp: Mapping[int, int], udp: tuple[int, ...]) -> None:
        self.swallowed = 0
        self._cable = -1
        self._listening: dict[socket.socket, int] = {}
        self._mute: list[socket.socket] = []
        self._namespace = _within(lambda: self._listen(tcp, udp))
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()

    def program(self, program: str, folder: Path) -> str:
        """A program that runs `program` behind it."""
        enter, script = shutil.which("nsenter"), folder / "behind"
        path = f"/proc/{os.getpid()}/fd/{self._namespace}"
        script.write_text(f'#!/bin/sh\nexec {enter} --net={path} {shlex.quote(program)} "$@"\n')
        script.chmod(0o700)
        return str(script)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
        for held in (*self._mute, *self._listening):
            held.close()
        os.close(self._cable)
        os.close(self._namespace)

    def _listen(self, tcp: Mapping[int, int], udp: tuple[int, ...]) -> None:
        # Browsers look for an interface that is not loopback: this one has a cable whose other end nobody reads.
        self._cable = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self._cable, _TUNSETIFF, struct.pack("16sH22x", b"cable", _TUN | _NO_HEAD))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            for request, address in ((_SIOCSIFADDR, _ADDRESS), (_SIOCSIFNETMASK, _MASK)):
                words = struct.pack("16sH2x4s16x", b"cable", socket.AF_INET, socket.inet_aton(address))
                fcntl.ioctl(any_socket, request, words)
            for name in (b"lo", b"cable"):
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", name, _UP | _RUNNING))
        for near, far in tcp.items():
            made = socket.create_server(("127.0.0.1", near))
            made.setblocking(False)
            self._listening[made] = far
        for port in udp:
            mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            mute.setblocking(False)
            mute.bind(("127.0.0.1", port))
            self._mute.append(mute)

    async def _serve(self) -> None:
        for mute in self._mute:
            self._loop.add_reader(mute, self._swallow, mute)
        servers = [
            await asyncio.start_server(lambda *ends, far=far: self._carry(far, *ends), sock=near)
            for near, far in self._listening.items()
        ]
        await self._over.wait()
        for server in servers:
            server.close()
        for mute in self._mute:
            self._loop.remove_reader(mute)
        lines = asyncio.all_tasks() - {asyncio.current_task()}
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    def _swallow(self, mute: socket.socket) -> None:
        with suppress(BlockingIOError):
            mute.recvfrom(2048)
            self.swallowed += 1

    async def _carry(self, far: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes."""
        try:
            there, out = await asyncio.open_connection("127.0.0.1", far)
        except OSError:
            writer.close()
            return
        with suppress(OSError):
            await asyncio.gather(_pump(reader, out), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(65_536):
            writer.write(octets)
            await writer.drain()
    finally:
        writer.close()


def may_wall() -> bool:
    """Whether this process may make such a network."""
    try:
        Firewall({}, ()).close()
    except OSError:
        return False
    return True


@contextmanager
def walled(at: Clinic, folder: Path, tcp: Mapping[int, int]) -> Iterator[tuple[Browser, Firewall | None]]:
    """A browser that reaches the clinic's pages and these TCP ports (there → here) alone."""
    if not may_wall():
        sys.stderr.write("no network namespace may be made here: the browser's own policy keeps it from UDP\n")
        with chromium(at.playwright, flags=[*CAMERAS, TRUSTING, NO_UDP], program=WHOLE) as browser:
            yield browser, None
        return
    assert WHOLE is not None
    wall = Firewall({at.house.port: at.house.port} | dict(tcp), (at.house.media_port,))
    try:
        program = wall.program(WHOLE, folder)
        with chromium(at.playwright, flags=[*CAMERAS, TRUSTING], program=program) as browser:
            yield browser, wall
    finally:
        wall.close()


def _within(do: Callable[[], None]) -> int:
    """Do something in a new network namespace, whose file descriptor is returned. Sockets stay where they were made."""
    made: list[int | OSError] = []

    def enter() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "no network namespace may be made here")
            do()
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter)  # the namespace is its thread's alone
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
