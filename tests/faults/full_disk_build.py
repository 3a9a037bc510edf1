"""The server on a disk for recordings that has room for `ROOM` octets, until somebody puts a file named `room` beside.

Database, keys and log lie elsewhere and have room: only the vault's writes fail, as the system lets them.
"""

import errno
import os
from pathlib import Path

from recordings.vault.files import SystemFiles
from telehealth.__main__ import main

ROOM = 600_000
write, written = SystemFiles.write, 0


def write_while_there_is_room(self: SystemFiles, handle: int, data: memoryview) -> int:
    """As on a full disk: first a short write, then ENOSPC."""
    global written
    left = len(data) if Path("room").exists() else ROOM - written
    if left <= 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    done = write(self, handle, data[:left])
    written += done
    return done


if __name__ == "__main__":
    setattr(SystemFiles, "write", write_while_there_is_room)  # noqa: B010  # a method replaced on purpose
    main()
