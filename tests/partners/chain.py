"""A certificate as a clinic would get one: root, intermediate, leaf for some months, with a place for revocations."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAYS = 80
PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Chain:
    """PEM files: the root's certificate, leaf and intermediate together, the leaf's key."""

    root: Path
    certificates: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Holder:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def _named(name: str) -> _Holder:
    return _Holder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ec.generate_private_key(ec.SECP256R1()))


def _builder(subject: _Holder, issuer: _Holder, days: int) -> x509.CertificateBuilder:
    now, public = datetime.now(UTC), subject.key.public_key()
    return (
        x509.CertificateBuilder(issuer.name, subject.name, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
    )


def _authority(subject: _Holder, issuer: _Holder, days: int, below: int) -> x509.Certificate:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(subject, issuer, days).add_extension(x509.BasicConstraints(True, below), True)
    return builder.add_extension(usage, True).sign(issuer.key, hashes.SHA256())


def made(folder: Path, host: str) -> Chain:
    """A chain for the host's name."""
    root, between, leaf = _named("Test Root"), _named("Test Intermediate"), _named(host)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    places = [x509.DistributionPoint([x509.UniformResourceIdentifier("http://ca.test/crl")], None, None, None)]
    asked = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ca.test/ocsp")
    )
    server = (
        _builder(leaf, between, DAYS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.CRLDistributionPoints(places), False)
        .add_extension(x509.AuthorityInformationAccess([asked]), False)
        .sign(between.key, hashes.SHA256())
    )
    chain = Chain(folder / "root.pem", folder / "server.pem", folder / "server.key")
    chain.root.write_bytes(_authority(root, root, 3650, 1).public_bytes(PEM))
    chain.certificates.write_bytes(server.public_bytes(PEM) + _authority(between, root, 1800, 0).public_bytes(PEM))
    form = serialization.PrivateFormat.PKCS8
    chain.key.write_bytes(leaf.key.private_bytes(PEM, form, serialization.NoEncryption()))
    chain.key.chmod(0o600)
    return chain
