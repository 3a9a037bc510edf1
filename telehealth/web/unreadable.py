"""What is no HTTP at all is answered by a problem document too, and logged without a word of it."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from telehealth.errors import Malformed
from telehealth.log import get_logger
from telehealth.web.metrics import Metrics
from telehealth.web.problems import Internal, problem

log = get_logger(__name__)


def connections(server: web.Server, headers: Mapping[str, str], metrics: Metrics) -> Callable[[], asyncio.Protocol]:
    """What `loop.create_server` is to make for each connection. `headers`: on these answers, as on every other.

    aiohttp lets nobody choose the class of its connections, and asks the public `handle_error` of it: so a connection
    becomes one of a class that has its own, and nothing else.
    """

    class Connection(web.RequestHandler):
        __slots__ = ()

        def handle_error(
            self,
            request: web.BaseRequest,
            status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
            exc: BaseException | None = None,
            message: str | None = None,
        ) -> web.StreamResponse:
            """The answer to what the parser refused; the connection ends. Raises ConnectionError half-way in one."""
            if request.writer.output_size > 0:
                raise ConnectionError("an answer has begun already")
            refusal = Malformed() if status < HTTPStatus.INTERNAL_SERVER_ERROR else Internal()
            log.info("web.unreadable", status=status, exception_type=type(exc).__name__)
            response = problem(refusal)
            response.headers.update(headers)
            response.headers["Cache-Control"] = "no-store"
            response.force_close()
            metrics.answered("unreadable", "other", response.status, 0.0)
            return response

    def connection() -> asyncio.Protocol:
        made = server()
        made.__class__ = Connection
        return made

    return connection
