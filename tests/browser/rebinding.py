"""A router before the media port that may give its people new addresses, as a phone gets that leaves the Wi-Fi."""

import selectors
import socket
import threading

_LARGEST = 2048


class Router:
    """Carries datagrams from `near` to `far` (host, port); the server sees each browser at a socket of its own."""

    def __init__(self, near: tuple[str, int], far: tuple[str, int]) -> None:
        self._far = far
        self._host = "127.0.0.1"
        self._near = self._bound(near)
        self._outward: dict[tuple[str, int], socket.socket] = {}
        self._old: list[socket.socket] = []
        self._owners: dict[socket.socket, tuple[str, int]] = {}
        self._lock = threading.Lock()
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._near, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def move(self, host: str) -> set[tuple[str, int]]:
        """From now on everybody comes from this address and another port; what is sent to the old ones is lost.

        The new addresses.
        """
        with self._lock:
            self._host = host
            moved = list(self._outward)
            for old in self._outward.values():
                self._selector.unregister(old)
                self._old.append(old)  # kept bound, so that nobody else gets its port
            self._outward.clear()
            return {self._outside(browser).getsockname() for browser in moved}

    def close(self) -> None:
        self._waker.send(b"x")
        self._thread.join()
        for held in (self._near, self._waker, self._woken, *self._old, *self._outward.values()):
            held.close()
        self._selector.close()

    @staticmethod
    def _bound(address: tuple[str, int]) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(address)
        return made

    def _outside(self, browser: tuple[str, int]) -> socket.socket:
        if browser not in self._outward:
            made = self._outward[browser] = self._bound((self._host, 0))
            self._owners[made] = browser
            self._selector.register(made, selectors.EVENT_READ)
        return self._outward[browser]

    def _carry(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                assert isinstance(key.fileobj, socket.socket)
                self._pass(key.fileobj)

    def _pass(self, ready: socket.socket) -> None:
        try:
            datagram, source = ready.recvfrom(_LARGEST)
            with self._lock:
                if ready is self._near:
                    self._outside(source).sendto(datagram, self._far)
                else:
                    self._near.sendto(datagram, self._owners[ready])
        except (BlockingIOError, ConnectionRefusedError):
            return  # lost, as networks lose
