"""What this server is made of, and whether it is stale: both read from the lock files, without asking anybody."""
