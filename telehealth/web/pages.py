"""The pages and their modules, from one folder, under clean addresses."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from telehealth.errors import NotFound

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
_TEXT = ("text/", "image/svg", "application/json", "application/manifest")
LARGEST = 8 * 1024 * 1024
# A logo may be an SVG from the operator: it is an image and nothing else, also when opened by itself.
LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Site:
    """Where the pages lie, and the one script that comes from a package."""

    folder: Path
    vendor: dict[str, Path]
    logo: Path | None

    def add_to(self, app: web.Application) -> None:
        """Register every page, `/static/…`, `/vendor/…` and the clinic's logo."""
        for path, name in PAGES.items():
            app.router.add_get(path, self._one(self.folder / "pages" / name))
        for name, file in self.vendor.items():
            app.router.add_get(f"/vendor/{name}", self._one(file))
        app.router.add_get("/static/{path:.+}", self._module)
        if self.logo is not None:
            app.router.add_get("/clinic-logo", self._one(self.logo, LOGO_POLICY))

    def _one(self, file: Path, policy: str | None = None) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            return await _send(request, file, policy)

        return handler

    async def _module(self, request: web.Request) -> web.Response:
        parts = request.match_info["path"].split("/")
        if any(part.startswith(".") or part == "" or "\\" in part or "\0" in part for part in parts):
            raise NotFound
        return await _send(request, self.folder.joinpath(*parts), inside=self.folder)


def _read(file: Path, inside: Path | None) -> bytes | None:
    """The content, or None where there is no such regular file (inside the folder, links resolved)."""
    if inside is not None and not file.resolve().is_relative_to(inside.resolve()):
        return None
    if not file.is_file() or file.stat().st_size > LARGEST:
        return None
    return file.read_bytes()


async def _send(
    request: web.Request, file: Path, policy: str | None = None, *, inside: Path | None = None
) -> web.Response:
    kind = TYPES.get(file.suffix)
    content = await asyncio.to_thread(_read, file, inside) if kind else None
    if kind is None or content is None:
        raise NotFound
    tag = hashlib.sha256(content).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if policy:
        headers["Content-Security-Policy"] = policy
    wanted = request.if_none_match or ()
    if any(entry.value in (tag, "*") for entry in wanted):
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if kind.startswith(_TEXT) else None
    return web.Response(body=content, content_type=kind, charset=charset, headers=headers)
