"""The pages and their modules, from one folder, under clean addresses."""

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from telehealth.errors import NotFound
from telehealth.web.modules import MARK, Modules, digest

PAGES: dict[str, str] = {
    "/": "index.html",
    "/setup": "setup.html",
    "/sso": "sso.html",
    "/demo": "demo.html",
    "/visits": "visits.html",
    "/call/{visit}": "call.html",
    "/join": "join.html",
    "/copy": "copy.html",
    "/check": "check.html",
    "/privacy": "privacy.html",
    "/recordings": "recordings.html",
    "/recordings/{recording}": "recording.html",
    "/audit": "audit.html",
    "/audit/report": "audit_report.html",
    "/audit/disclosures": "audit_report.html",
    "/audit/visits/{visit}": "audit_story.html",
    "/alerts": "alerts.html",
    "/registers": "registers.html",
    "/settings": "settings.html",
    "/account": "account.html",
}
TYPES: dict[str, str] = {
    ".css": "text/css",
    ".gif": "image/gif",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_FOR_GOOD = "public, max-age=31536000, immutable"  # a year (RFC 8246)
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")  # RFC 9110 §12.5.3: a weight of 0 is a no
_SMALL = 512  # octets: less is not worth compressing
_PAGE = "text/html"  # never compressed: an answer that could hold something of somebody must not be (BREACH)
_TEXT = ("text/", "image/svg", "application/json", "application/manifest")
LARGEST = 8 * 1024 * 1024
# A logo may be an SVG from the operator: it is an image and nothing else, also when opened by itself.
LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"


class Site:
    """Where the pages lie, and the one script that comes from a package."""

    def __init__(self, folder: Path, vendor: dict[str, Path], logo: Path | None) -> None:
        self._folder, self._vendor, self.logo = folder, vendor, logo
        self._modules = Modules(folder)

    def add_to(self, app: web.Application) -> None:
        """Register every page, `/static/…`, `/vendor/…` and the clinic's logo."""
        for path, name in PAGES.items():
            file = self._folder / "pages" / name
            app.router.add_get(path, self._one(file, read=self._modules.page))
        for name, file in self._vendor.items():
            app.router.add_get(f"/vendor/{name}", self._one(file))
        app.router.add_get("/static/{path:.+}", self._module)
        if self.logo is not None:
            app.router.add_get("/clinic-logo", self._one(self.logo, LOGO_POLICY))

    def _one(
        self, file: Path, policy: str | None = None, read: Callable[[Path], bytes | None] | None = None
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            answer = await _send(request, file, read or _read)
            if policy:
                answer.headers["Content-Security-Policy"] = policy
            return answer

        return handler

    async def _module(self, request: web.Request) -> web.Response:
        parts = request.match_info["path"].split("/")
        version = parts.pop(0).removeprefix(MARK) if parts[0].startswith(MARK) else ""
        if not parts or any(part.startswith(".") or part == "" or "\\" in part or "\0" in part for part in parts):
            raise NotFound
        file = self._folder.joinpath(*parts)
        return await _send(request, file, self._inside, lambda told: self._modules.holds(version, file, told))

    def _inside(self, file: Path) -> bytes | None:
        """As `_read`, if the file lies in the folder once links are resolved."""
        return _read(file) if file.resolve().is_relative_to(self._folder.resolve()) else None


def _read(file: Path) -> bytes | None:
    """The content, or None where there is no such regular file."""
    if not file.is_file() or file.stat().st_size > LARGEST:
        return None
    return file.read_bytes()


async def _send(
    request: web.Request,
    file: Path,
    read: Callable[[Path], bytes | None],
    lasts: Callable[[str], bool] = lambda _: False,
) -> web.Response:
    """A file as the browser takes it; `lasts`: whether this address will always mean content of this digest."""
    kind = TYPES.get(file.suffix)
    if kind is None:
        raise NotFound
    text = kind.startswith(_TEXT)
    packs = text and kind != _PAGE
    small = packs and _GZIP.search(request.headers.get("Accept-Encoding", "")) is not None
    content, packed, told = await asyncio.to_thread(_loaded, file, read, small)
    tag = f"{told}-gzip" if packed else told
    headers = {"ETag": f'"{tag}"', "Cache-Control": _FOR_GOOD if lasts(told) else "no-cache"}
    if packs:
        headers["Vary"] = "Accept-Encoding"
    wanted = request.if_none_match or ()
    if any(entry.value in (tag, "*") for entry in wanted):
        return web.Response(status=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=content, content_type=kind, charset="utf-8" if text else None, headers=headers)


def _loaded(file: Path, read: Callable[[Path], bytes | None], small: bool) -> tuple[bytes, bool, str]:
    """What is sent of a file, whether that is compressed as was wished, and its digest. Raises NotFound."""
    content = read(file)
    if content is None:
        raise NotFound
    packed = small and len(content) > _SMALL
    return _packed(content) if packed else content, packed, digest(content)


@lru_cache(maxsize=256)  # more than there are files
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
