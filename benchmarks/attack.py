"""`python -m benchmarks.attack [name …]`: every attack as figures, one JSON line each. SEED and N as wished.

Ends with 0 when every attack was made, whether or not aims hold; 1 when one could not be.
"""

import sys

from benchmarks.__main__ import main

ATTACKS = (
    "attack_tokens",
    "attack_http",
    "attack_links",
    "attack_sessions",
    "attack_flood",
    "attack_audit",
    "attack_media",
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ATTACKS))
