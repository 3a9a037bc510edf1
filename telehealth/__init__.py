"""Decides: who may do what, in which state, under which key, and what is written down about it."""
