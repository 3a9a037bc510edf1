"""The small pure parts: origins, proxies, ranges, cookies, pages, TLS."""

import gzip
import os
import re
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer, make_mocked_request

from telehealth.config import Config
from telehealth.errors import NotFound, Reason, Refusal
from telehealth.web.headers import security_headers
from telehealth.web.origin import our_origins, refuse_foreign
from telehealth.web.pages import PAGES, Site
from telehealth.web.playback import asked_range
from telehealth.web.problems import STATUS, ForeignOrigin, RangeRefused
from telehealth.web.proxies import Proxies
from telehealth.web.route import cookie_name
from telehealth.web.server import tls_context


def source(proxies: tuple[str, ...], remote: str, *forwarded: str) -> str:
    request = make_mocked_request("GET", "/", headers=[("X-Forwarded-For", value) for value in forwarded])
    return Proxies.of(proxies).source(request.clone(remote=remote)).address


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "address"),
    [
        ((), "192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        (("10.0.0.0/8",), "10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        (("10.0.0.0/8",), "10.0.0.1", ("203.0.113.9, 198.51.100.7",), "198.51.100.7"),
        (("10.0.0.0/8",), "10.0.0.1", ("198.51.100.7", "10.0.0.2"), "198.51.100.7"),
        (("10.0.0.0/8",), "192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        (("10.0.0.0/8",), "10.0.0.1", ("<script>",), "10.0.0.1"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", ("2001:db8::1",), "2001:db8::1"),
        (("10.0.0.0/8",), "10.0.0.1", (), "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_are_believed(
    proxies: tuple[str, ...], remote: str, forwarded: tuple[str, ...], address: str
) -> None:
    assert source(proxies, remote, *forwarded) == address


@pytest.mark.parametrize("forwarded", [(), ("",), ("127.0.0.1",), ("nonsense",), ("203.0.113.9",)])
def test_what_comes_by_a_proxy_on_this_machine_is_not_this_machine(forwarded: tuple[str, ...]) -> None:
    request = make_mocked_request("GET", "/metrics", headers=[("X-Forwarded-For", value) for value in forwarded])
    request = request.clone(remote="127.0.0.1")
    assert not Proxies.of(("127.0.0.0/8",)).source(request).loopback
    assert Proxies.of(("10.0.0.1",)).source(request).loopback


def test_a_device_is_printable_and_short() -> None:
    request = make_mocked_request("GET", "/", headers={"User-Agent": "a\u202eb" + "x" * 500})
    device = Proxies.of(()).source(request).device
    assert device.startswith("ab")
    assert len(device) == 200


def test_our_origins_are_the_public_url_and_on_loopback_its_spellings() -> None:
    local = Config.model_validate({"server": {"port": 9000}})
    assert our_origins(local) == {f"http://{host}:9000" for host in ("127.0.0.1", "localhost", "[::1]")}
    server = {"host": "10.0.0.9", "public_url": "https://visits.example.org", "trusted_proxies": ["10.0.0.1"]}
    assert our_origins(Config.model_validate({"server": server})) == {"https://visits.example.org"}


def test_reading_needs_no_origin_and_writing_does() -> None:
    refuse_foreign("GET", {}, frozenset())
    with pytest.raises(ForeignOrigin):
        refuse_foreign("POST", {}, frozenset({"http://a"}))
    refuse_foreign("POST", {"Origin": "http://a"}, frozenset({"http://a"}))


@pytest.mark.parametrize(
    ("header", "size", "wanted"),
    [
        (None, 100, None),
        ("bytes=0-", 100, (0, 100)),
        ("bytes=0-0", 100, (0, 1)),
        ("bytes=10-19", 100, (10, 20)),
        ("bytes=90-500", 100, (90, 100)),
        ("bytes=-10", 100, (90, 100)),
        ("bytes=-500", 100, (0, 100)),
        ("bytes=5-4", 100, None),
        ("bytes=0-1,5-6", 100, None),
        ("items=0-1", 100, None),
        ("bytes=-", 100, None),
        ("bytes=a-b", 100, None),
    ],
)
def test_ranges_are_read_as_rfc_9110_says(header: str | None, size: int, wanted: tuple[int, int] | None) -> None:
    assert asked_range(header, size) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_beyond_the_file_is_refused(header: str) -> None:
    with pytest.raises(RangeRefused):
        asked_range(header, 100)


def test_every_reason_has_a_status() -> None:
    assert set(STATUS) == set(Reason)


def test_over_tls_cookies_are_host_bound_and_hsts_is_sent() -> None:
    assert cookie_name("staff", https=True) == "__Host-staff"
    assert cookie_name("staff", https=False) == "staff"
    public = Config.model_validate({"server": {"public_url": "https://visits.example.org"}})
    headers = security_headers(public)
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "connect-src 'self' wss://visits.example.org;" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in security_headers(Config())


def test_no_tls_without_a_certificate() -> None:
    assert tls_context(Config()) is None


def test_refusals_of_the_web_keep_their_codes() -> None:
    found: dict[str, list[type[Refusal]]] = {}
    for refusal in (ForeignOrigin, RangeRefused, NotFound):
        found.setdefault(refusal.code, []).append(refusal)
    assert all(len(refusals) == 1 for refusals in found.values())


def site(folder: Path) -> Site:
    (folder / "static" / "pages").mkdir(parents=True)
    (folder / "static" / "net").mkdir()
    (folder / "static" / ".hidden").mkdir()
    for name in PAGES.values():
        (folder / "static" / "pages" / name).write_text(f"<!doctype html><title>{name}</title>")
    (folder / "static" / "net" / "api.js").write_text("export {};")
    (folder / "static" / ".hidden" / "x.js").write_text("no")
    (folder / "static" / "notes.exe").write_text("no")
    (folder / "secret.js").write_text("no")
    (folder / "static" / "way.js").symlink_to(folder / "secret.js")
    (folder / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return Site(folder / "static", {"socket.io.js": folder / "secret.js"}, folder / "logo.svg")


@pytest.fixture
def pages(tmp_path: Path) -> Site:
    return site(tmp_path)


async def served(pages: Site, *paths: str, **headers: str) -> list[tuple[int, str, str]]:
    @web.middleware
    async def ring(request: web.Request, handler: object) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[operator]
        except NotFound:
            return web.Response(status=404)

    app = web.Application(middlewares=[ring])
    pages.add_to(app)
    found = []
    async with TestServer(app) as server, ClientSession(server.make_url("/"), headers=headers) as client:
        for path in paths:
            answer = await client.get(server.make_url("/").join(server.make_url(path)))
            found.append((answer.status, answer.content_type, answer.headers.get("Cache-Control", "")))
    return found


async def test_pages_stand_under_clean_addresses(pages: Site) -> None:
    clean = [path.format(visit="vis_x", recording="rec_x") for path in PAGES]
    assert set(await served(pages, *clean)) == {(200, "text/html", "no-cache")}


async def test_modules_vendor_and_logo_are_served_by_type(pages: Site) -> None:
    found = await served(pages, "/static/net/api.js", "/vendor/socket.io.js", "/clinic-logo")
    assert [kind for _, kind, _ in found] == ["text/javascript", "text/javascript", "image/svg+xml"]
    assert {status for status, _, _ in found} == {200}


async def test_nothing_outside_the_folder_is_served(pages: Site) -> None:
    wrong = (
        "/static/../secret.js",
        "/static/%2e%2e/secret.js",
        "/static/net/..%2f..%2fsecret.js",
        "/static/way.js",
        "/static/.hidden/x.js",
        "/static/notes.exe",
        "/static/net",
        "/static/",
        "/static//etc/passwd",
        "/static/@",
        "/static/@/",
        "/static/@0123456789abcdef/..%2fsecret.js",
        "/static/@0123456789abcdef/.hidden/x.js",
        "/static/@0123456789abcdef/way.js",
        "/vendor/other.js",
    )
    assert {status for status, _, _ in await served(pages, *wrong)} == {404}


async def test_a_known_version_is_not_sent_again(pages: Site) -> None:
    app = web.Application()
    pages.add_to(app)
    async with TestServer(app) as server, ClientSession(server.make_url("/")) as client:
        first = await client.get("/static/net/api.js")
        again = await client.get("/static/net/api.js", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")
        other = await client.get("/static/net/api.js", headers={"If-None-Match": '"other"'})
        assert other.status == 200


async def test_a_page_names_its_modules_ahead_at_addresses_that_are_kept_until_a_file_changes(tmp_path: Path) -> None:
    pages = site(tmp_path)
    folder = tmp_path / "static"
    (folder / "pages" / "join.html").write_text(
        '<head><link rel="stylesheet" href="/static/ui/style.css">'
        '<script type="module" src="/static/pages/join.js"></script></head>'
    )
    (folder / "pages" / "join.js").write_text(
        '/** @typedef {import("../net/unused.js").A} A */\nimport {\n  a,\n} from "../net/a.js";\nimport "./b.js";\n'
    )
    (folder / "net" / "a.js").write_text('import { io } from "/vendor/socket.io.js";\nexport * from "../pages/b.js";\n')
    (folder / "pages" / "b.js").write_text('import("./later.js");\nimport { a } from "../net/a.js";\n')
    app = web.Application()
    pages.add_to(app)
    async with TestServer(app) as server, ClientSession(server.make_url("/")) as client:
        page = await (await client.get("/join")).text()
        hints = re.findall(r'modulepreload" href="([^"]+)"', page)
        base = re.findall(r'src="(/static/@[0-9a-f]{16}/)pages/join.js"', page)[0]
        assert hints == [f"{base}net/a.js", f"{base}pages/b.js", "/vendor/socket.io.js"]
        assert f'href="{base}ui/style.css"' in page
        kept = await client.get(hints[0])
        assert (kept.status, kept.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        (folder / "net" / "a.js").write_text("export const a = 12345;\n")
        after = re.findall(r'modulepreload" href="([^"]+)"', await (await client.get("/join")).text())
        assert after[0] != hints[0]
        assert await (await client.get(after[0])).text() == "export const a = 12345;\n"
        old = await client.get(hints[0])  # of a page that was loaded before
        assert (old.status, old.headers["Cache-Control"]) == (200, "no-cache")


async def test_an_address_kept_for_good_means_one_content(tmp_path: Path) -> None:
    """Whatever times and sizes say, and also where a file was replaced since the page was made."""
    pages, file = site(tmp_path), tmp_path / "static" / "net" / "a.js"
    (tmp_path / "static" / "pages" / "join.html").write_text('<script type="module" src="/static/net/a.js"></script>')
    app = web.Application()
    pages.add_to(app)
    async with TestServer(app) as server, ClientSession(server.make_url("/")) as client:

        async def seen(content: str) -> str:
            file.write_text(content)
            os.utime(file, (1, 1))
            return re.findall(r'src="([^"]+)"', await (await client.get("/join")).text())[0]

        first, other = await seen("export const a = 1;\n"), await seen("export const a = 2;\n")
        assert first != other
        assert await seen("export const a = 1;\n") == first
        file.write_text("export const a = 3;\n")
        between = await client.get(first)
        assert (await between.text(), between.headers["Cache-Control"]) == ("export const a = 3;\n", "no-cache")


@pytest.mark.parametrize(
    ("said", "packs"), [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0, *;q=1", False)]
)
async def test_a_browser_that_refuses_compression_gets_none(tmp_path: Path, said: str, packs: bool) -> None:
    pages = site(tmp_path)
    (tmp_path / "static" / "net" / "long.js").write_text("export const words = [];\n" * 100)
    app = web.Application()
    pages.add_to(app)
    async with TestServer(app) as server, ClientSession(server.make_url("/"), auto_decompress=False) as client:
        answer = await client.get("/static/net/long.js", headers={"Accept-Encoding": said})
        assert ("Content-Encoding" in answer.headers) is packs


async def test_text_is_compressed_for_those_who_ask(tmp_path: Path) -> None:
    pages = site(tmp_path)
    long = "export const words = [];\n" * 100
    (tmp_path / "static" / "net" / "long.js").write_text(long)
    (tmp_path / "static" / "pages" / "join.html").write_text("<p>words</p>\n" * 100)
    app = web.Application()
    pages.add_to(app)
    async with TestServer(app) as server, ClientSession(server.make_url("/"), auto_decompress=False) as client:
        packed = await client.get("/static/net/long.js", headers={"Accept-Encoding": "br, gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await packed.read()).decode() == long
        plain = await client.get("/static/net/long.js", headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert await plain.text() == long
        assert plain.headers["ETag"] != packed.headers["ETag"]
        assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
        page = await client.get("/join", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in page.headers
        again = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
        assert (await client.get("/static/net/long.js", headers=again)).status == 304


def test_tls_is_modern(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path)
    config = Config.model_validate({"server": {"tls_certificate": certificate, "tls_key": key}})
    context = tls_context(config)
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-"), cipher["name"]


def own_certificate(folder: Path) -> tuple[Path, Path]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "chain.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
