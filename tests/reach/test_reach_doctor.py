"""`telehealth doctor media`, as people run it: beside a running server, alone, and where something is wrong."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from signaling.rtc.probe import Destination, Probed
from telehealth.commands.doctor_media import FAULTS, _finding, _kernel
from telehealth.commands.run import main
from tests.partners.process import free_port
from tests.stories.house import House

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """The command in this process, in a folder and an environment of its own; exit code and answer."""

    def run(house: House, **more: str) -> tuple[int, dict[str, Any]]:
        for name in [name for name in os.environ if name.startswith("TELEHEALTH_")]:
            monkeypatch.delenv(name)
        for name, text in {**house.environment, **more}.items():
            monkeypatch.setenv(name, text)
        monkeypatch.chdir(tmp_path)
        exit_code = main(["doctor", "media", "--json"])
        return exit_code, json.loads(capsys.readouterr().out)

    return run


def two_ports() -> int:
    """A UDP port that is free, and so is the next."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as following, suppress(OSError):
            following.bind(("127.0.0.1", port + 1))
            return port


def codes(answer: Mapping[str, Any]) -> list[str]:
    return [finding["code"] for finding in answer["findings"] if "code" in finding]


def ways(answer: Mapping[str, Any]) -> dict[str, str]:
    found = {finding["what"].split()[0]: finding["state"] for finding in answer["findings"]}
    return {name: found[name] for name in ("udp", "tcp") if name in found}


def test_it_asks_a_running_server_and_tries_the_port_of_each_worker(tmp_path: Path, doctor: Doctor) -> None:
    with House(tmp_path, {"MEDIA__PORT": str(two_ports()), "MEDIA__WORKERS": "2"}) as house:
        exit_code, answer = doctor(house)
        assert exit_code == 0, answer
        assert codes(answer)[0] == "running"
        sent = [one for one in answer["findings"] if "50 packets sent, 0.0% lost" in one["text"]]
        assert len({one["what"] for one in sent}) == 4


def test_without_a_server_it_opens_the_port_itself(tmp_path: Path, doctor: Doctor) -> None:
    exit_code, answer = doctor(House(tmp_path))
    assert exit_code == 0, answer
    assert codes(answer)[0] == "not_running"
    assert ways(answer) == {"udp": "well", "tcp": "well"}
    assert not (tmp_path / "telehealth.db").exists()


def test_a_port_that_is_taken_is_told_with_its_code(tmp_path: Path, doctor: Doctor) -> None:
    house = House(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", house.media_port))
        exit_code, answer = doctor(house)
    assert (exit_code, codes(answer)) == (1, ["port_taken"])
    assert "ss -lnup" in answer["findings"][0]["mend"]


def test_an_address_that_is_not_reached_is_a_note_where_the_machine_itself_answers(
    tmp_path: Path, doctor: Doctor
) -> None:
    house = House(tmp_path, {"MEDIA__PUBLIC_ADDRESSES": "127.0.0.1,192.0.2.1", "MEDIA__TCP": "false"})
    exit_code, answer = doctor(house)
    states = {finding["what"]: finding["state"] for finding in answer["findings"]}
    assert states[f"udp 127.0.0.1:{house.media_port}"] == "well"
    assert states[f"udp 192.0.2.1:{house.media_port}"] == "note"
    assert exit_code == 0


def test_a_wrong_configuration_is_exit_code_two(tmp_path: Path, doctor: Doctor) -> None:
    exit_code, answer = doctor(House(tmp_path), TELEHEALTH_MEDIA__HOST="example.org")
    assert (exit_code, answer["error"]) == (2, "config")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_every_fault_has_its_code_its_words_and_something_to_do(transport: Any, fault: str) -> None:
    to = Destination(transport, "127.0.0.1", 8081)
    found = _finding(Probed(to, fault=fault), told=True, inside=False)
    assert (found.state, found.code) == ("wrong", f"{transport}_{fault}")
    assert found.text == FAULTS[fault]
    assert found.mend


def test_loss_a_small_buffer_and_kernel_drops_are_told() -> None:
    lossy = Probed(Destination("udp", "127.0.0.1", 8081), round_trip=0.001, sent=100, lost=10)
    assert _finding(lossy, told=True, inside=False).code == "media_lost"
    slow = Probed(Destination("udp", "127.0.0.1", 8081), round_trip=0.4, sent=100)
    assert _finding(slow, told=True, inside=False).code == "slow_round_trip"
    found = _kernel({"receive_buffer": 212_992, "kernel_drops": 7})
    assert [one.code for one in found] == ["small_buffer", "kernel_drops"]
    assert "rmem_max=4194304" in found[0].mend
