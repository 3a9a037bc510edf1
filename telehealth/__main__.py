"""`telehealth` and `python -m telehealth`."""

import sys

from telehealth.memory import loading

with loading():
    from telehealth.commands.run import main as run


def main() -> None:
    """Do what the command line says and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
