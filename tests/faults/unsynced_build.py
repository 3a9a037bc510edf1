"""A server wrong on purpose: its vault syncs neither files nor folders. A kill does not show it, a power cut must."""

from recordings.vault.files import SystemFiles
from telehealth.__main__ import main


def nothing(self: SystemFiles, _what: object) -> None:
    """Say that it is safe, and do nothing for it."""


if __name__ == "__main__":
    setattr(SystemFiles, "fsync", nothing)  # noqa: B010  # a method replaced on purpose
    setattr(SystemFiles, "sync_folder", nothing)  # noqa: B010
    main()
