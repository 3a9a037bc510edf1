"""Several servers as one: what goes between them, sealed, and sockets that one carries for another."""
