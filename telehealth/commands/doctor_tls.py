"""The part of `telehealth doctor` that looks at the certificate as a patient's browser will."""

import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509 import verification

from telehealth.commands.findings import Finding
from telehealth.config import Config

SOON: Final = timedelta(days=21)
_CA: Final = "Get one from a public authority (Let's Encrypt, or the hospital's): patients' browsers refuse this one."


def tls(config: Config, now: datetime, roots: Path | None = None) -> Iterator[Finding]:
    """What is wrong with the certificate, the gravest first. `roots`: PEM; None: what this machine trusts."""
    certificate, key = config.server.tls_certificate, config.server.tls_key
    if certificate is None or key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        chain = _read(certificate.read_bytes())
    except (OSError, ValueError) as error:
        yield Finding("tls", "wrong", f"certificate and key do not load ({type(error).__name__})", "Check both files.")
        return
    yield _ends(chain[0].not_valid_before_utc, chain[0].not_valid_after_utc, now)
    host = urlsplit(config.public_url).hostname or config.server.host
    yield from _trusted(chain, host, now, _anchors(roots))


def _read(content: bytes) -> Sequence[x509.Certificate]:
    return x509.load_pem_x509_certificates(content)


def _ends(begins: datetime, ends: datetime, now: datetime) -> Finding:
    if now < begins:
        return Finding("tls", "wrong", f"the certificate is good from {begins:%Y-%m-%d} on", "", "tls_early")
    if now > ends:
        return Finding("tls", "wrong", f"the certificate ended on {ends:%Y-%m-%d}", "Renew it.", "tls_ended")
    if ends - now < SOON:
        return Finding("tls", "note", f"good until {ends:%Y-%m-%d}", "Renew it.", "tls_ends_soon")
    return Finding("tls", "well", f"good until {ends:%Y-%m-%d}")


def _trusted(
    chain: Sequence[x509.Certificate], host: str, now: datetime, anchors: Sequence[x509.Certificate]
) -> Iterator[Finding]:
    leaf = chain[0]
    if not _names(leaf, host):
        mend = f"Get one for {host}, or correct server.public_url."
        yield Finding("tls.name", "wrong", f"the certificate is not for {host}", mend, "tls_other_name")
        return
    if leaf.issuer == leaf.subject:
        yield Finding("tls.trust", "wrong", "the certificate is signed by itself alone", _CA, "tls_self_signed")
        return
    if not anchors:
        yield Finding(
            "tls.trust", "note", "this machine has no list of authorities to compare with", "", "tls_no_roots"
        )
        return
    if not _verified(chain, host, now, anchors):
        text = "nobody whom this machine trusts stands behind the certificate, or its chain is not whole"
        yield Finding(
            "tls.trust", "wrong", text, f"Put the intermediate certificates into the file. {_CA}", "tls_untrusted"
        )
        return
    yield Finding("tls.trust", "well", f"trusted for {host}")


def _verified(chain: Sequence[x509.Certificate], host: str, now: datetime, anchors: Sequence[x509.Certificate]) -> bool:
    """By the rules of the web (CABF), at a time when the certificate itself is good: its end is told apart."""
    leaf = chain[0]
    moment = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    try:
        name: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    builder = verification.PolicyBuilder().store(verification.Store(list(anchors))).time(moment)
    try:
        builder.build_server_verifier(name).verify(leaf, list(chain[1:]))  # type: ignore[arg-type]  # a name or an address
    except verification.VerificationError:
        return False
    return True


def _names(leaf: x509.Certificate, host: str) -> bool:
    """Whether the certificate names the host (RFC 6125: alternative names alone, one star for one label)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = {host.lower(), f"*.{host.lower().partition('.')[2]}"}
        return bool(wanted & {one.lower() for one in names.get_values_for_type(x509.DNSName)})


def _anchors(roots: Path | None) -> Sequence[x509.Certificate]:
    if roots is not None:
        return _read(roots.read_bytes())
    place = ssl.get_default_verify_paths().cafile
    found = Path(place) if place else Path("/etc/ssl/certs/ca-certificates.crt")
    return _read(found.read_bytes()) if found.is_file() else ()
