"""One connection to a collector: it counts as taken only what the other side read, however the other side ends."""

import select
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_server

import pytest

from telehealth.syslog import Address, Stream
from tests.partners.certificates import Authority

_PATIENCE = 10.0  # seconds
Ending = Callable[[ssl.SSLSocket, threading.Event], None]


@contextmanager
def collector(folder: Path, ending: Ending) -> Iterator[tuple[Address, threading.Event]]:
    """A TLS collector that treats its one connection in its own way; the event: from now on messages may come."""
    authority, ready = Authority(folder), threading.Event()
    certificate, key = authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        joined, _ = listening.accept()
        with context.wrap_socket(joined, server_side=True) as stream, suppress(OSError):
            ending(stream, ready)

    with create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield Address(f"tls://127.0.0.1:{listening.getsockname()[1]}", authority.ca), ready
        finally:
            serving.join()


def comes(stream: ssl.SSLSocket, what: int) -> None:
    """Wait until it is there, unread."""
    poll = select.poll()
    poll.register(stream, what)
    poll.poll(_PATIENCE * 1000)


def reads(stream: ssl.SSLSocket, ready: threading.Event) -> None:
    ready.set()
    while stream.recv(4096):
        pass


def reads_and_answers(stream: ssl.SSLSocket, ready: threading.Event) -> None:
    reads(stream, ready)
    stream.unwrap()


def says_goodbye(stream: ssl.SSLSocket) -> None:
    """Our close_notify goes out, whatever has come."""
    stream.setblocking(False)
    with suppress(ssl.SSLError):
        stream.unwrap()


def leaves(stream: ssl.SSLSocket, ready: threading.Event) -> None:
    """By its own decision before the messages; it closes only when the other side has ended its stream."""
    says_goodbye(stream)
    ready.set()
    comes(stream, select.POLLRDHUP)


def leaves_at_once(stream: ssl.SSLSocket, ready: threading.Event) -> None:
    says_goodbye(stream)
    stream.close()
    ready.set()


def never_reads(stream: ssl.SSLSocket, ready: threading.Event) -> None:
    ready.set()
    comes(stream, select.POLLIN)


def sent(address: Address, ready: threading.Event) -> None:
    stream = Stream(address, _PATIENCE)
    assert ready.wait(_PATIENCE)
    stream.send([b"a message"] * 3)
    stream.finish()


@pytest.mark.parametrize("ending", [reads, reads_and_answers])
def test_what_was_read_is_taken_with_an_answer_or_without(tmp_path: Path, ending: Ending) -> None:
    with collector(tmp_path, ending) as (address, ready):
        sent(address, ready)


@pytest.mark.parametrize("ending", [leaves, leaves_at_once, never_reads])
def test_what_was_not_read_is_not_taken_even_where_close_notify_came(tmp_path: Path, ending: Ending) -> None:
    with collector(tmp_path, ending) as (address, ready), pytest.raises(OSError):
        sent(address, ready)
