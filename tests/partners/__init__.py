"""Real partners, started for tests on free loopback ports and stopped by their process id."""
