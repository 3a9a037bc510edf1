"""One playable file from a recording's tracks, composed in a process of its own, and how it leaves the vault."""
