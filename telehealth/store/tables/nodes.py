"""Servers that share this database, one row for each life of a process."""

from sqlalchemy import BigInteger, Boolean, Column, String, Table

from telehealth.store.tables.columns import ID, metadata, time

nodes = Table(
    "nodes",
    metadata,
    Column("id", ID, primary_key=True),  # of this life; a process that starts again is another one
    Column("name", String(16), nullable=False),  # the server's, as configured
    Column("number", BigInteger, nullable=False, unique=True),  # in the order of their starts
    Column("beat", BigInteger, nullable=False),  # one more every second; standing still, it is dead
    Column("draining", Boolean, nullable=False),
    time("started_at", required=True),
    time("ended_at"),  # gone, or taken for dead: it never comes back
)

server_logs = Table(
    "server_logs",
    metadata,
    Column("name", String(16), primary_key=True),  # of a server that keeps, or kept, an audit log; never forgotten
    Column("address", String(255), nullable=False),  # machine and port of its last start
    time("started_at", required=True),  # its last start
)
