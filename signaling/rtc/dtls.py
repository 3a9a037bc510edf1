"""DTLS-SRTP for one leg (RFC 5763, RFC 5764): the server's side, on datagrams handed in and out, without a task."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import pylibsrtp
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate, SRTPProtectionProfile, certificate_digest
from OpenSSL import SSL
from pylibsrtp import Policy, Session

_CIPHERS = b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"  # AEAD alone
_PROFILES = tuple(profile for profile in SRTP_PROFILES if b"AEAD" in profile.openssl_profile)  # strongest first
_DTLS_1_2 = 0xFEFD
_MTU = 1200  # octets of DTLS in one datagram
_RECORD_HEADER = 13
_REPLAY_WINDOW = 1024
_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"


class Progress(Enum):
    """How far an association is."""

    HANDSHAKING = auto()
    ESTABLISHED = auto()
    FAILED = auto()
    ENDED = auto()  # the other side sent close_notify


class Identity:
    """The port's certificate, made afresh at every start and never written anywhere, and the rules for its use."""

    def __init__(self) -> None:
        certificate = RTCCertificate.generateCertificate()
        self.fingerprint: tuple[str, str] = ("sha-256", certificate_digest(certificate._cert, "sha-256"))
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_for_fingerprint_check)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(b":".join(profile.openssl_profile for profile in _PROFILES))
        context.use_certificate(certificate._cert)
        context.use_privatekey(certificate._key)
        self.context = context


def _accept_for_fingerprint_check(*_: object) -> bool:
    """Certificates are self-signed; `Association` compares the fingerprint once the handshake is done."""
    return True


@dataclass(frozen=True, slots=True)
class Keys:
    """The SRTP sessions of an established association."""

    incoming: Session
    outgoing: Session
    profile: str


class Association:
    """One DTLS association. `send` takes datagrams. Nothing it negotiates is used before the fingerprint matched."""

    def __init__(
        self,
        identity: Identity,
        fingerprints: frozenset[tuple[str, str]],
        send: Callable[[bytes], None],
        *,
        client: bool = False,
    ) -> None:
        self.progress = Progress.HANDSHAKING
        self.keys: Keys | None = None
        self.fault = ""
        self._fingerprints = fingerprints
        self._send = send
        self._ssl = SSL.Connection(identity.context)
        self._client = client
        if client:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()
        self._ssl.set_ciphertext_mtu(_MTU)

    @property
    def cipher(self) -> str | None:
        return self._ssl.get_cipher_name()

    def start(self) -> None:
        """As the client: the first flight."""
        self._shake()
        self._flush()

    def receive(self, datagram: bytes) -> Progress:
        """Take one DTLS datagram; what OpenSSL says to it is sent at once."""
        if self.progress in (Progress.FAILED, Progress.ENDED):
            return self.progress
        self._ssl.bio_write(datagram)
        if self.progress is Progress.HANDSHAKING:
            self._shake()
        else:
            self._read()
        self._flush()
        return self.progress

    def tick(self) -> Progress:
        """Repeat a flight that was lost, once OpenSSL's timer says so."""
        if self.progress is Progress.HANDSHAKING and self._ssl.DTLSv1_get_timeout() is not None:
            try:
                self._ssl.DTLSv1_handle_timeout()
            except SSL.Error:
                self._fail("handshake_timeout")
            self._flush()
        return self.progress

    def close(self) -> None:
        """Say close_notify, as far as there is somebody to say it to."""
        if self.progress is Progress.ESTABLISHED or self.fault == "fingerprint":
            try:
                self._ssl.shutdown()
            except SSL.Error:
                self.fault = self.fault or "shutdown"
            self._flush()
        if self.progress is not Progress.FAILED:
            self.progress = Progress.ENDED
        self.keys = None

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self._fail("handshake")
            return
        if not self._fingerprint_matches():
            self._fail("fingerprint")
            return
        self.keys = self._derive()
        if self.keys is None:
            self._fail("srtp_profile")
        else:
            self.progress = Progress.ESTABLISHED

    def _read(self) -> None:
        """Take all that came, and let go of it: a leg carries media alone."""
        while True:
            try:
                self._ssl.recv(2048)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self.progress = Progress.ENDED
                return
            except SSL.Error:
                self._fail("alert")
                return

    def _fingerprint_matches(self) -> bool:
        """RFC 8122 §5: each offered fingerprint is one of the certificate that came."""
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        if certificate is None or not self._fingerprints:
            return False
        return all(certificate_digest(certificate, name) == value for name, value in self._fingerprints)

    def _derive(self) -> Keys | None:
        name = self._ssl.get_selected_srtp_profile()
        profile = next((profile for profile in _PROFILES if profile.openssl_profile == name), None)
        if profile is None:
            return None
        material = self._ssl.export_keying_material(
            _EXPORTER_LABEL, 2 * (profile.key_length + profile.salt_length), None
        )
        theirs, ours = (1, 0) if self._client else (0, 1)
        incoming = _session(profile, profile.get_key_and_salt(material, theirs), Policy.SSRC_ANY_INBOUND)
        outgoing = _session(profile, profile.get_key_and_salt(material, ours), Policy.SSRC_ANY_OUTBOUND)
        return Keys(incoming, outgoing, name.decode("ascii"))

    def _fail(self, fault: str) -> None:
        self.progress = Progress.FAILED
        self.fault = fault
        self.keys = None

    def _flush(self) -> None:
        try:
            pending = self._ssl.bio_read(65_536)
        except SSL.WantReadError:
            return
        for datagram in split_records(pending, _MTU):
            self._send(datagram)


def _session(profile: SRTPProtectionProfile, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp_profile)
    policy.window_size = _REPLAY_WINDOW
    return Session(policy)


def split_records(octets: bytes, largest: int) -> list[bytes]:
    """Group the DTLS records that OpenSSL wrote into datagrams of at most `largest` octets, records kept whole."""
    datagrams: list[bytes] = []
    start = at = 0
    while at + _RECORD_HEADER <= len(octets):
        end = at + _RECORD_HEADER + int.from_bytes(octets[at + 11 : at + 13], "big")
        if end - start > largest and at > start:
            datagrams.append(octets[start:at])
            start = at
        at = end
    if start < len(octets):
        datagrams.append(octets[start:])
    return datagrams


SrtpError = pylibsrtp.Error
