"""A Ceph object gateway over one store in memory: S3 that checks signatures, unlike most stand-ins."""

import shutil
import subprocess
import uuid
from contextlib import ExitStack
from pathlib import Path

from tests.partners.process import LONGEST, Partner, answers, free_port

_SETTINGS = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}]
public addr = 127.0.0.1
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
keyring = {folder}/keyring
ms bind msgr1 = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd class load list = *
osd class default list = *
osd objectstore = memstore
osd data = {folder}/osd
osd heartbeat interval = 3600
memstore device bytes = 536870912
mon data = {folder}/mon
mon data avail crit = 0
mon data avail warn = 0
mon max pg per osd = 1000
mon allow pool size one = true
paxos propose interval = 0.05
paxos min wait = 0.01
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw dynamic resharding = false
rgw multipart min part size = 1024
"""
_KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
}


class Ceph:
    """Monitor, store and gateway in `folder`; up to 2 s until they are ready, some 200 MB of memory."""

    region = "us-east-1"
    access = "test-access-key"
    secret = "test-secret-key"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._conf = folder, folder / "ceph.conf"
        port, self._monitor_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = _SETTINGS.format(fsid=uuid.uuid4(), mon=self._monitor_port, gateway=port, folder=folder)
        self._conf.write_text(settings)
        with ExitStack() as started:
            self._monitor(started)
            self._store(started)
            names = ("--uid=clinic", "--display-name=clinic", f"--access-key={self.access}", f"--secret={self.secret}")
            self._run("radosgw-admin", "user", "create", *names)
            self._gateway = self._start_gateway()
            started.callback(self.down)
            self._started = started.pop_all()

    def down(self) -> None:
        """The gateway is gone; what it keeps stays."""
        self._gateway.stop()

    def up(self) -> None:
        """The gateway is there again."""
        self._gateway = self._start_gateway()

    def stop(self) -> None:
        self._started.close()

    def _monitor(self, started: ExitStack) -> None:
        (self._folder / "mon").mkdir()
        keyring, map_ = str(self._folder / "keyring"), str(self._folder / "monmap")
        for name, allowed in _KEYS.items():
            caps = [word for what in range(0, len(allowed), 2) for word in ("--cap", *allowed[what : what + 2])]
            first = ["--create-keyring"] if name == "mon." else []
            self._run("ceph-authtool", *first, keyring, "--gen-key", "-n", name, *caps)
        self._run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{self._monitor_port}]", map_)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_, "--keyring", keyring)
        started.callback(self._daemon("ceph-mon", "-i", "a").stop)

    def _store(self, started: ExitStack) -> None:
        (self._folder / "osd").mkdir()
        name = str(uuid.uuid4())
        self._run("ceph", "osd", "new", name, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", name)
        started.callback(self._daemon("ceph-osd", "-i", "0").stop)

    def _start_gateway(self) -> Partner:
        gateway = self._daemon("radosgw", "-n", "client.admin", f"--log-file={self._folder}/gateway.log")
        gateway.wait(lambda: answers(self.url))
        return gateway

    def _daemon(self, program: str, *words: str) -> Partner:
        return Partner([found(program), "-c", str(self._conf), "-f", *words], self._folder / f"{program}.out")

    def _run(self, program: str, *words: str) -> None:
        settings = [] if program == "ceph-authtool" else ["-c", str(self._conf)]
        command = [found(program), *settings, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")


def found(program: str) -> str:
    """Where a program is. Raises RuntimeError."""
    path = shutil.which(program)
    if path is None:
        raise RuntimeError(f"{program} is missing: run tests/install-partners")
    return path
