"""What is measured, against what: `python -m benchmarks` prints one JSON line per figure."""
