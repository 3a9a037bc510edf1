"""What a process that holds keys switches off."""

import os
import resource


def harden_process() -> None:
    """No core dumps, and new files for us alone. Python cannot wipe memory; a dump would keep what it forgot."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
