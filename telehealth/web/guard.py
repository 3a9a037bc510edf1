"""The outermost ring: security headers on everything, refusals as problems, nothing thrown outwards."""

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from telehealth.config import Config
from telehealth.errors import Malformed, NotFound, Refusal, Unavailable
from telehealth.log import get_logger
from telehealth.store.away import is_away
from telehealth.web.dispatch import BODY_LIMIT
from telehealth.web.headers import security_headers
from telehealth.web.metrics import Metrics
from telehealth.web.outcomes import in_fhir
from telehealth.web.problems import BodyTooLarge, Internal, MethodRefused, problem

log = get_logger(__name__)


def guard(metrics: Metrics) -> Middleware:
    """Every way a handler can end becomes one answer; only cancellation passes."""

    @web.middleware
    async def ring(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = time.perf_counter()
        response = in_fhir(request.path, await _answer(request, handler))
        private = request.path.startswith(("/api/", "/fhir/"))
        if private and "Cache-Control" not in response.headers and not response.prepared:
            response.headers["Cache-Control"] = "no-store"
        resource = request.match_info.route.resource
        metrics.answered(
            resource.canonical if resource else "other", request.method, response.status, time.perf_counter() - begun
        )
        return response

    return ring


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    length = request.content_length
    if length is not None and length > BODY_LIMIT:
        return problem(BodyTooLarge())
    try:
        return await handler(request)
    except Refusal as refusal:
        return problem(refusal)
    except web.HTTPException as error:
        return _of_framework(error)
    except ConnectionError:
        raise  # the client went away; there is nobody to answer
    except Exception as error:  # the last ring: whatever it was, it is logged by type and answered
        if is_away(error):
            log.error("web.database_away", exc_info=True, method=request.method, route=_canonical(request))
            return problem(Unavailable())
        log.error("web.internal", exc_info=True, method=request.method, route=_canonical(request))
        return problem(Internal())


_FRAMEWORK: dict[int, type[Refusal]] = {404: NotFound, 405: MethodRefused, 413: BodyTooLarge}


def _of_framework(error: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses, said our way. Raises what is no refusal."""
    if error.status < 400:
        raise error
    response = problem(_FRAMEWORK.get(error.status, Malformed)())
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return response


def _canonical(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "other"


def add_headers(app: web.Application, config: Config) -> None:
    """Put the security headers on every answer just before it is sent, streams and refusals included."""
    fixed = security_headers(config)

    async def sign(_request: web.Request, response: web.StreamResponse) -> None:
        for name, value in fixed.items():
            if name == "Content-Security-Policy":
                response.headers.setdefault(name, value)
            else:
                response.headers[name] = value

    app.on_response_prepare.append(sign)
