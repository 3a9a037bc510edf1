"""A syslog collector in a process of its own: octet-counted messages over TLS (RFC 5425) or TCP, one a line to a file.

`python -m tests.partners.collector PORT FILE [CERTIFICATE KEY [CLIENT-CA]]`; `--rude` ends streams without an answer.
"""

import os
import socket
import ssl
import sys
from pathlib import Path

READY = "listening"


def messages(stream: socket.socket, into: int) -> None:
    """Each whole message becomes a line; returns at the end of the stream."""
    kept = b""
    while piece := stream.recv(65_536):
        kept += piece
        while True:
            length, space, rest = kept.partition(b" ")
            if not space or len(rest) < int(length):
                break
            os.write(into, rest[: int(length)] + b"\n")
            kept = rest[int(length) :]


def serve(port: int, file: Path, context: ssl.SSLContext | None, *, rude: bool) -> None:
    """One connection after the other, for ever."""
    into = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    listening = socket.create_server(("127.0.0.1", port), reuse_port=False)
    print(READY, flush=True)
    while True:
        joined, _ = listening.accept()
        try:
            stream = context.wrap_socket(joined, server_side=True) if context else joined
            messages(stream, into)
            if isinstance(stream, ssl.SSLSocket) and not rude:
                stream.unwrap()
            stream.close()
        except OSError as error:
            print(type(error).__name__, flush=True)
        finally:
            joined.close()


def main(words: list[str]) -> None:
    rude = "--rude" in words
    port, file, *tls = [word for word in words if word != "--rude"]
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls[0], tls[1])
        if len(tls) > 2:
            context.load_verify_locations(tls[2])
            context.verify_mode = ssl.CERT_REQUIRED
    serve(int(port), Path(file), context, rude=rude)


if __name__ == "__main__":
    main(sys.argv[1:])
