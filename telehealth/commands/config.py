"""Which configuration a command uses."""

import argparse
from pathlib import Path

from telehealth.config import Config, load


def config_of(args: argparse.Namespace) -> Config:
    """The one named, or ./config.toml, or the defaults. Raises ConfigRefused."""
    here = Path("config.toml")
    path: Path | None = args.config or (here if here.is_file() else None)
    return load(path)
