"""`telehealth doctor` names a certificate nobody trusts, and partners that allow more than they need to."""

import gc
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session  # type: ignore[import-untyped]  # upstream has no types

from telehealth.commands.doctor import _passwords
from telehealth.commands.doctor_rights import rights
from telehealth.commands.doctor_tls import tls
from telehealth.commands.findings import Finding
from telehealth.config import Config
from tests.partners.ceph import Ceph
from tests.partners.certificates import Authority
from tests.partners.coturn import Coturn
from tests.partners.openbao import OpenBao
from tests.partners.postgres import Postgres

NOW = datetime.now(UTC)


def config(certificate: Path | None = None, key: Path | None = None, **sections: Any) -> Config:
    """A server behind `clinic.example`; certificate and key as given."""
    server: dict[str, Any] = {"public_url": "https://clinic.example"}
    if certificate is not None:
        server |= {"tls_certificate": certificate, "tls_key": key}
    return Config.model_validate({"server": server, **sections})


def look(made: Config, roots: Path, now: datetime = NOW) -> dict[str, Finding]:
    return {one.what: one for one in tls(made, now, roots)}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_certificate_that_browsers_trust_is_well(authority: Authority) -> None:
    found = look(config(*authority.issue("clinic.example")), authority.ca)
    assert found["tls.trust"].state == "well"
    assert found["tls"].code == "tls_ends_soon"  # the test authority's live a day


@pytest.mark.parametrize(
    ("name", "what", "code"),
    [("another.example", "tls.name", "tls_other_name"), ("192.0.2.1", "tls.name", "tls_other_name")],
)
def test_a_certificate_for_another_name_is_wrong(authority: Authority, name: str, what: str, code: str) -> None:
    found = look(config(*authority.issue(name)), authority.ca)[what]
    assert (found.state, found.code) == ("wrong", code)


def test_one_that_signs_itself_or_that_nobody_stands_behind_is_wrong(tmp_path: Path, authority: Authority) -> None:
    own = tmp_path / "own"
    own.mkdir()
    stranger = Authority(own, "clinic.example")
    certificate, key = stranger.issue("clinic.example")  # issued by one who bears the same name: as if by itself
    assert look(config(certificate, key), authority.ca)["tls.trust"].code == "tls_self_signed"
    other = tmp_path / "other"
    other.mkdir()
    certificate, key = Authority(other, "somebody").issue("clinic.example")
    found = look(config(certificate, key), authority.ca)["tls.trust"]
    assert (found.state, found.code) == ("wrong", "tls_untrusted")


def test_one_that_ended_or_has_not_begun_is_wrong(authority: Authority) -> None:
    made = config(*authority.issue("clinic.example"))
    assert look(made, authority.ca, NOW + timedelta(days=2))["tls"].code == "tls_ended"
    assert look(made, authority.ca, NOW - timedelta(days=2))["tls"].code == "tls_early"


def test_files_that_do_not_load_are_told(tmp_path: Path, authority: Authority) -> None:
    certificate, _ = authority.issue("clinic.example")
    _, other = authority.issue("another.example")
    assert look(config(certificate, other), authority.ca)["tls"].state == "wrong"
    assert look(config(), authority.ca) == {}


def test_a_missing_list_of_breached_passwords_is_told_and_a_broken_one_is_wrong(tmp_path: Path) -> None:
    assert _passwords(config()).code == "no_breached_list"
    listed = tmp_path / "list"
    listed.write_text("A" * 40 + ":7\n")
    assert _passwords(config(sessions={"breached_passwords": listed})).state == "well"
    listed.write_text("password\n")
    assert _passwords(config(sessions={"breached_passwords": listed})).state == "wrong"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    server = OpenBao(tmp_path_factory.mktemp("bao"))
    yield server
    server.stop()


def told(bao: OpenBao, folder: Path, token: str) -> Finding:
    file = folder / "token"
    file.write_text(token)
    keys = {"provider": "vault", "vault_url": bao.url, "vault_token_file": file}
    (found,) = rights(config(keys=keys))
    return found


def test_a_key_services_token_with_more_than_our_policy_is_named(bao: OpenBao, tmp_path: Path) -> None:
    assert told(bao, tmp_path, bao.token()).state == "well"
    assert told(bao, tmp_path, bao.root).code == "vault_rights"
    bao.ask("POST", "sys/policies/acl/wide", {"policy": 'path "transit/export/*" { capabilities = ["read"] }'})
    wide = bao.ask("POST", "auth/token/create", {"policies": ["telehealth", "wide"]})["auth"]["client_token"]
    found = told(bao, tmp_path, wide)
    assert (found.state, found.code) == ("wrong", "vault_rights")
    assert "transit/export/" in found.text
    assert told(bao, tmp_path, "no token of theirs").code == "away"


def test_a_database_role_with_more_than_its_database_is_named() -> None:
    server = Postgres()
    try:
        url = server.database()
        (found,) = rights(config(places={"database": url}))
        assert (found.state, found.code) == ("wrong", "database_rights")
        assert "superuser" in found.text
    finally:
        server.stop()
    (found,) = rights(config(places={"database": url}))
    assert found.code == "away"


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    store = Ceph(tmp_path_factory.mktemp("ceph"))
    yield store
    store.stop()


def bucket(ceph: Ceph, name: str, *, lock: bool = False) -> None:
    """A bucket there; `lock`: it keeps every object for a day."""
    keys = {"aws_access_key_id": ceph.access, "aws_secret_access_key": ceph.secret, "region_name": ceph.region}
    client = Session().create_client("s3", endpoint_url=ceph.url, **keys)
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
    if lock:
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        held = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=held)
    client.close()


def store_told(ceph: Ceph, folder: Path, name: str, secret: str) -> Finding:
    access_file, secret_file = folder / "access", folder / "secret"
    access_file.write_text(ceph.access)
    secret_file.write_text(secret)
    keys = {"access_key_file": access_file, "secret_key_file": secret_file}
    store = {"kind": "s3", "bucket": name, "endpoint": ceph.url, "region": ceph.region, **keys}
    return next(one for one in rights(config(store=store)) if one.what == "store.bucket")


def test_a_remote_store_that_is_missing_locks_or_does_not_let_us_in_is_named(ceph: Ceph, tmp_path: Path) -> None:
    bucket(ceph, "ours")
    bucket(ceph, "locked", lock=True)
    assert store_told(ceph, tmp_path, "ours", ceph.secret).state == "well"
    for name, secret, code in (
        ("nobodys", ceph.secret, "vault_missing"),
        ("locked", ceph.secret, "vault_locks"),
        ("ours", "another secret", "vault_denied"),
    ):
        found = store_told(ceph, tmp_path, name, secret)
        assert (found.state, found.code) == ("wrong", code)
    ceph.down()
    assert store_told(ceph, tmp_path, "ours", ceph.secret).code == "vault_unreachable"


def sockets() -> set[str]:
    """Those of this process that are open."""
    with os.scandir("/proc/self/fd") as found:
        names = [one.path for one in found]
    links = [os.readlink(name) for name in names if os.path.lexists(name)]
    return {link for link in links if link.startswith("socket:")}


@pytest.mark.parametrize("closed", [False, True])
def test_a_turn_server_that_relays_to_addresses_inside_is_named(tmp_path: Path, closed: bool) -> None:
    coturn = Coturn(tmp_path, closed=closed)
    urls = [f"turn:127.0.0.1:{coturn.port}?transport={way}" for way in ("udp", "tcp")]
    urls.append(f"turns:127.0.0.1:{coturn.tls_port}?transport=tcp")
    trusted = ssl.create_default_context(cafile=tmp_path / "turn-authority.pem")
    media = {"turn_urls": urls, "turn_secret_file": coturn.secret_file}
    try:
        gc.disable()  # it closes what we forgot
        before = sockets()
        found = list(rights(config(media=media), trusted))
        assert sockets() <= before
    finally:
        gc.enable()
        coturn.stop()
    assert [one.state for one in found] == ["well" if closed else "wrong"] * 3, found
    assert closed or all("127.0.0.1" in one.text for one in found), found
    assert [one.code for one in rights(config(media=media), trusted)] == ["away"] * 3
