"""Which server runs which visit; the database decides."""
