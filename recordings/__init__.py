"""Keeps: captures, seals, plays and destroys recordings."""
