"""The configuration file says what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from telehealth.config import Config, ConfigRefused, load, read_secret

FILE = Path(__file__).resolve().parents[2] / "config.toml"


def uncommented() -> str:
    """The file with its switched-off keys switched on."""
    return re.sub(r"(?m)^# ([a-z0-9_]+ = )", r"\1", FILE.read_text("utf-8"))


def test_the_file_equals_the_defaults() -> None:
    assert load(FILE, {}) == Config()


def test_the_file_names_every_key_and_no_other() -> None:
    written = tomllib.loads(uncommented())
    for section, model in Config.model_fields.items():
        if section == "demo":
            assert written["demo"] is False
            continue
        assert set(written[section]) == set(model.annotation.model_fields), section  # type: ignore[union-attr]
    assert set(written) == set(Config.model_fields)


def test_every_key_has_words_above_it() -> None:
    lines = FILE.read_text("utf-8").splitlines()
    for place, line in enumerate(lines):
        if re.match(r"(# )?[a-z0-9_]+ = ", line):
            above = lines[place - 1]
            assert above.startswith("#") or re.match(r"[a-z0-9_]+ = ", above), f"line {place + 1}: {line}"


def test_the_environment_lies_over_the_file() -> None:
    environment = {
        "TELEHEALTH_SERVER__PORT": "9000",
        "TELEHEALTH_SERVER__TRUSTED_PROXIES": "10.0.0.0/8,192.0.2.1",
        "TELEHEALTH_SESSIONS__IDLE_MINUTES": "5",
        "TELEHEALTH_DEMO": "true",
        "OTHER": "x",
    }
    config = load(FILE, environment)
    assert config.server.port == 9000
    assert config.server.trusted_proxies == ("10.0.0.0/8", "192.0.2.1")
    assert config.sessions.idle_minutes == 5
    assert config.demo


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigRefused) as refused:
        load(None, {"TELEHEALTH_SERVER__PORT": "high", "TELEHEALTH_VISITS__CODE_TRIES": "9", "TELEHEALTH_COLOUR": "x"})
    faults = refused.value.faults
    assert any(fault.startswith("server.port") for fault in faults)
    assert any(fault.startswith("visits.code_tries") for fault in faults)
    assert "colour: unknown key" in faults


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"TELEHEALTH_SERVER__HOST": "0.0.0.0"}, "loopback"),
        ({"TELEHEALTH_SERVER__TLS_CERTIFICATE": "c.pem"}, "together"),
        ({"TELEHEALTH_MAIL__HOST": "mail.example.org"}, "mail.sender"),
        ({"TELEHEALTH_MEDIA__TURN_URLS": "turn:t.example.org"}, "turn_secret_file"),
        ({"TELEHEALTH_MEDIA__HOST": "localhost"}, "media.host"),
        ({"TELEHEALTH_MEDIA__HOST": "0.0.0.0"}, "public_addresses"),
        ({"TELEHEALTH_MEDIA__HOST": "192.0.2.1,::"}, "public_addresses"),
        ({"TELEHEALTH_MEDIA__HOST": "::1,::1"}, "media.host"),
        ({"TELEHEALTH_MEDIA__PUBLIC_ADDRESSES": "2001:db8::1"}, "does not listen on"),
        ({"TELEHEALTH_MEDIA__PORT": "8080"}, "media.tcp"),
        ({"TELEHEALTH_SERVER__PUBLIC_URL": "https://a.example/path"}, "public_url"),
        ({"TELEHEALTH_SERVER__TIME_ZONE": "Mars/Base"}, "time_zone"),
        ({"TELEHEALTH_SERVER__HOST": "0.0.0.0", "TELEHEALTH_SERVER__TRUSTED_PROXIES": "10.0.0.1"}, "https://"),
        ({"TELEHEALTH_KEYS__PROVIDER": "vault"}, "keys.vault_token_file"),
        ({"TELEHEALTH_KEYS__VAULT_URL": "http://vault.example.org"}, "keys.vault_url must be https"),
        ({"TELEHEALTH_KEYS__PROVIDER": "pkcs11"}, "keys.pkcs11_module"),
        ({"TELEHEALTH_KEYS__PROVIDER": "awskms", "TELEHEALTH_KEYS__AWS_REGION": "eu-west-1"}, "backup_days must cover"),
        ({"TELEHEALTH_SMS__URL": "http://sms.example.org"}, "https"),
        ({"TELEHEALTH_SERVER__TRUSTED_PROXIES": "nowhere"}, "trusted_proxies"),
        (
            {
                "TELEHEALTH_SERVER__HOST": "0.0.0.0",
                "TELEHEALTH_SERVER__TRUSTED_PROXIES": "10.0.0.1",
                "TELEHEALTH_DEMO": "1",
            },
            "demo",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(environment: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        load(None, environment)
    assert any(word in fault for fault in refused.value.faults)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[server\n")
    with pytest.raises(ConfigRefused, match=r"broken\.toml"):
        load(broken, {})
    with pytest.raises(ConfigRefused, match="cannot be read"):
        load(tmp_path / "none.toml", {})


def test_a_section_given_as_a_word_is_refused_without_a_traceback() -> None:
    with pytest.raises(ConfigRefused):
        load(None, {"TELEHEALTH_SERVER": "x", "TELEHEALTH_SERVER__PORT": "1"})


def test_a_secret_comes_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    assert read_secret(path).reveal() == "hush"
    with pytest.raises(ConfigRefused):
        read_secret(tmp_path / "none")
