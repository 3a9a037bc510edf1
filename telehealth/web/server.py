"""The aiohttp application: the ring, the table, the pages; and how it listens."""

import socket
import ssl
from pathlib import Path
from typing import Any

from aiohttp import web

from telehealth.config import Config
from telehealth.web.arrivals import arrivals
from telehealth.web.dispatch import BODY_LIMIT, ROOMS, serve
from telehealth.web.guard import add_headers, guard
from telehealth.web.pages import Site
from telehealth.web.rooms import Rooms
from telehealth.web.route import PATH_TAILS
from telehealth.web.table import ROUTES

KEEP_ALIVE_SECONDS = 30.0
SHUTDOWN_SECONDS = 5.0
# TLS 1.2 with forward secrecy and AEAD only; 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def make_app(rooms: Rooms, site: Site) -> web.Application:
    """The whole HTTP face; Socket.IO is mounted by whoever wires the rooms."""
    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[guard(rooms.metrics), arrivals(rooms)])
    app[ROOMS] = rooms
    for route in ROUTES:
        app.router.add_route(route.method, _pattern(route.path), serve(route))
    site.add_to(app)
    add_headers(app, rooms.config)
    return app


def _pattern(path: str) -> str:
    """The router's pattern for a path of the table: a tail takes in slashes."""
    for name in PATH_TAILS:
        path = path.replace(f"{{{name}}}", f"{{{name}:.+}}")
    return path


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The server's TLS, None for plain HTTP on loopback or behind a proxy. Raises OSError, ssl.SSLError. Blocks."""
    certificate, key = config.server.tls_certificate, config.server.tls_key
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


def bind(config: Config) -> socket.socket:
    """The listening socket, bound but not yet accepting; port 0 takes any free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.server.host, config.server.port))
    except OSError:
        listening.close()
        raise
    return listening


# No access log, which would hold ids; short keep-alive; compressed bodies are not opened, so that none is a bomb.
RUNNER: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": KEEP_ALIVE_SECONDS,
    "shutdown_timeout": SHUTDOWN_SECONDS,
    "auto_decompress": False,
}


def site_of(config: Config, root: Path) -> Site:
    """The pages beside the packages, and the Socket.IO client from its own package."""
    script = root / "node_modules" / "socket.io-client" / "dist" / "socket.io.esm.min.js"
    return Site(root / "static", {"socket.io.js": script}, config.server.clinic_logo)
