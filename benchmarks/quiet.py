"""Imported before the rooms: their loggers take the configuration they find when they are made."""

import sys

from telehealth import log

log.configure(sys.stderr, "WARNING")
