"""`telehealth serve`: the server, in the foreground, until SIGTERM or SIGINT."""

import argparse
import asyncio
import errno
import json
import sys
import tempfile
from pathlib import Path

from telehealth.audit.faults import LogMismatch
from telehealth.commands.config import config_of
from telehealth.commands.grammar import Subparsers, verb
from telehealth.commands.said import FAILED, OK, USAGE, refusal_lines
from telehealth.config import Config, ConfigRefused
from telehealth.errors import Refusal
from telehealth.log import configure
from telehealth.memory import loading
from telehealth.workers import WorkerDied


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser = verb(nouns, common, "serve", "Run the server in the foreground; Ctrl-C stops it in order.")
    parser.add_argument(
        "--demo", action="store_true", help="loopback, with an invented clinic; all data is thrown away at the end"
    )


def serve(args: argparse.Namespace) -> int:
    """Run until stopped. 0: stopped in order; 1: refused to start, or a part died; 2: the configuration is wrong."""
    configure()
    try:
        config = config_of(args)
        if not args.demo:
            return _run(config, as_json=args.json)
        with tempfile.TemporaryDirectory(prefix="telehealth-demo-") as folder:
            return _run(demo_config(config, Path(folder)), as_json=args.json)
    except ConfigRefused as refused:
        return _say_no("config", ["The configuration is refused:", *(f"  {fault}" for fault in refused.faults)], USAGE)


def demo_config(config: Config, folder: Path) -> Config:
    """The same on loopback, with every place inside a folder that is thrown away. Raises ConfigRefused."""
    if not config.server.loopback:
        raise ConfigRefused(["--demo runs on loopback only: set server.host to 127.0.0.1"])
    places = {
        "database": f"sqlite:///{folder / 'telehealth.db'}",
        "keys": folder / "keys",
        "root_key": folder / "keys" / "root.key",
        "audit": folder / "audit",
        "recordings": folder / "recordings",
    }
    sessions = {**config.sessions.model_dump(), "step_up_minutes": 720}  # nobody there has a second factor to prove
    return Config.model_validate({**config.model_dump(), "demo": True, "places": places, "sessions": sessions})


def _run(config: Config, *, as_json: bool) -> int:
    with loading():
        from telehealth.app import Greeting, run  # brings the media edge, which no other command needs

    def greet(greeting: Greeting) -> None:
        text = json.dumps(greeting.data) if as_json else "\n".join(greeting.lines)
        print(text, flush=True)

    try:
        asyncio.run(run(config, greet))
    except WorkerDied:
        return FAILED
    except Refusal as refusal:
        return _say_no(refusal.code, refusal_lines(refusal))
    except LogMismatch as mismatch:
        return _say_no("log_mismatch", ["The audit log on disk is not what was signed.", str(mismatch)])
    except OSError as error:
        return _say_no("os_error", [_explain(error, config)])
    return OK


def _explain(error: OSError, config: Config) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {config.server.port} (or the media port {config.media.port}) is in use."
    return f"{error.strerror or type(error).__name__}: {error.filename or config.server.host}"


def _say_no(code: str, lines: list[str], exit_code: int = FAILED) -> int:
    print("\n".join([f"telehealth: {code}", *lines, "See: telehealth doctor"]), file=sys.stderr)
    return exit_code
