"""How the C library's allocator is told to keep little."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHILD = """
import ctypes, sys, threading


libc = ctypes.CDLL(None)
if sys.argv[1] == "lean":
    from telehealth.memory import hoard_nothing
    hoard_nothing()

def use():
    held = [b"x" * 60_000 for _ in range(20)]
    together.wait()
    together.wait()

together = threading.Barrier(9)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
together.wait()
libc.malloc_stats()
together.wait()
for thread in threads:
    thread.join()
"""


def heaps(how: str) -> int:
    """How many heaps glibc keeps for a process of nine threads at work."""
    found = subprocess.run([sys.executable, "-c", CHILD, how], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stderr.count("Arena")


def test_all_threads_share_one_heap_so_that_none_hoards_what_it_used_once() -> None:
    assert heaps("lean") == 1
    assert heaps("as it is") > 1  # otherwise this test could not fail
