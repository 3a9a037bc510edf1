"""The real server behind its own certificate: which protocols it speaks, and the cookies it sets."""

import datetime
import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pyotp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.stories.house import House


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clinic.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("clinic.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    private.chmod(0o600)
    return public, private


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tls")
    public, private = certificate(folder)
    settings = {"SERVER__TLS_CERTIFICATE": str(public), "SERVER__TLS_KEY": str(private)}
    with House(folder, settings) as running:
        yield running


def trusting(house: House) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(house.folder / "server.pem"))
    context.check_hostname = False
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_1_2_with_aead_or_1_3(house: House, version: ssl.TLSVersion) -> None:
    context = trusting(house)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", house.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="clinic.test") as wrapped,
    ):
        cipher = wrapped.cipher()
    assert cipher is not None
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_a_cipher_without_aead_is_not_spoken(house: House) -> None:
    context = trusting(house)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="clinic.test")


def post(house: House, path: str, body: dict[str, str]) -> tuple[dict[str, str], Message]:
    origin = f"https://127.0.0.1:{house.port}"
    headers = {"Content-Type": "application/json", "Origin": origin}
    request = urllib.request.Request(f"{origin}/api/v1{path}", json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, context=trusting(house), timeout=10) as answer:
        return json.load(answer), answer.headers


def test_over_tls_cookies_are_host_bound_and_the_browser_is_told_to_stay(house: House) -> None:
    link = house.said(r"(https://\S+/setup#\S+)")
    assert link.startswith(f"https://127.0.0.1:{house.port}/setup#")
    token = link.split("#")[1]
    offer, headers = post(house, "/enrolment", {"token": token})
    assert "max-age" in headers["Strict-Transport-Security"]
    account = {"login": "admin", "name": "Admin", "password": "correct horse battery staple"}
    _, headers = post(
        house, "/enrolment/finish", {"token": token, **account, "code": pyotp.TOTP(offer["totp_secret"]).now()}
    )
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("__Host-staff=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie


def test_plain_http_beyond_loopback_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path, {"SERVER__HOST": "0.0.0.0"})
    with pytest.raises(RuntimeError, match="ended"):
        house.start()
    house.stop()
