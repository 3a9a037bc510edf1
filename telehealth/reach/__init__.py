"""Whether media gets through, and how well: figures of legs and calls, tests of a connection."""
