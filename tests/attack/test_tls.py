"""What a scanner finds at our TLS listener, with a chain as a clinic would have one: nothing above low."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.partners import chain
from tests.stories.house import House

HOST = "clinic.test"
# Protocols, cipher lists, forward secrecy, the server's preferences, certificate, headers, known vulnerabilities.
PARTS = ("-p", "-s", "-f", "-P", "-S", "-h", "-U")
QUICK = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "--fast")
PATIENCE = ("--connect-timeout", "10", "--openssl-timeout", "10")
BENIGN = {"OK", "INFO", "LOW"}
# WARN is no finding: the scanner could not try it (RC4 is not in its OpenSSL; a busy machine). These must be tried.
TRIED = {
    "TLS1",
    "TLS1_1",
    "TLS1_2",
    "TLS1_3",
    "PFS",
    "cert_chain_of_trust",
    "heartbleed",
    "HSTS_time",
    "cipherlist_3DES_IDEA",
}


@pytest.mark.slow
def test_testssl_finds_nothing_above_low(tmp_path: Path) -> None:
    made, told = chain.made(tmp_path, HOST), tmp_path / "found.json"
    settings = {"SERVER__TLS_CERTIFICATE": str(made.certificates), "SERVER__TLS_KEY": str(made.key)}
    with House(tmp_path, settings) as house:
        target = ("--ip", "127.0.0.1", "--add-ca", str(made.root), "--jsonfile", str(told), f"{HOST}:{house.port}")
        done = subprocess.run(
            ["testssl", *PARTS, *QUICK, *PATIENCE, *target],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        alive = house.process.poll() is None
    assert alive, house.log.read_text()[-2000:]
    assert told.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(told.read_text())
    assert {one["id"] for one in found if one["severity"] in BENIGN} >= TRIED
    worse = [one for one in found if one["severity"] not in BENIGN | {"WARN"}]
    assert [f"{one['severity']} {one['id']}: {one['finding']}" for one in worse] == []
