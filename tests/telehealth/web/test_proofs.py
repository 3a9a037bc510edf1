"""Proofs over HTTP: for overseers, right, and with coded refusals."""

import base64

from telehealth.audit.actions import Action
from telehealth.audit.layout import leaf_records
from telehealth.audit.note import open_checkpoint
from telehealth.audit.tree import leaf_hash, verify_consistency, verify_inclusion
from telehealth.auditing import log_verifier

from .conftest import Desk, refused

BASE = "/api/v1/audit"


def raw(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


async def test_a_reader_with_the_key_alone_checks_what_the_server_says(desk: Desk) -> None:
    client, _ = await desk.enrolled("auditor", "eve")
    async with client:
        name, key, line = await log_verifier(desk.house.keyring)
        head = open_checkpoint(await (await client.get(f"{BASE}/checkpoint")).read(), name, key)
        assert (await (await client.get(f"{BASE}/keys")).text()) == f"0 {line}\n"
        assert head.size >= 3
        answer = await client.get(f"{BASE}/tile/entries/000.p/{head.size}")
        leaves, _ = leaf_records(await answer.read())
        tile = await (await client.get(f"{BASE}/tile/0/000.p/{head.size}")).read()
        assert tile == b"".join(map(leaf_hash, leaves))
        for index in range(head.size):
            asked = {"index": str(index), "size": str(head.size)}
            told = await (await client.get(f"{BASE}/proofs/inclusion", params=asked)).json()
            assert verify_inclusion(leaf_hash(leaves[index]), index, head.size, raw(told["proof"]), head.root)
        told = await (await client.get(f"{BASE}/proofs/consistency", params={"from": "2", "to": str(head.size)})).json()
        assert verify_consistency(2, head.size, raw(told["proof"]), *raw([told["old_root"], told["new_root"]]))
    read = [stored for stored in await desk.house.log.entries(limit=1000) if stored.action == Action.AUDIT_READ]
    assert [stored.detail["criteria"] for stored in read] == ["tile"]


async def test_bad_questions_are_refused_by_code(desk: Desk) -> None:
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        size = desk.house.log.head().size
        for path, status, code in (
            ("proofs/inclusion?index=1&size=99999", 400, "size_from_future"),
            (f"proofs/inclusion?index={size}&size={size}", 400, "index_out_of_range"),
            ("proofs/inclusion?index=-1", 400, "malformed"),
            ("proofs/inclusion?index=99999999999999999999", 400, "malformed"),
            ("proofs/consistency?from=3&to=2", 400, "sizes_reversed"),
            ("proofs/consistency?from=3&to=99999", 400, "size_from_future"),
            ("tile/0/000", 404, "tile_unknown"),
            ("tile/entries/x001/000", 404, "tile_unknown"),
            ("tile/7/000.p/1", 404, "tile_unknown"),
            ("tile/0/0", 404, "tile_unknown"),
        ):
            await refused(await client.get(f"{BASE}/{path}"), status, code)
        assert desk.house.log.head().size == size


async def test_a_clinician_sees_no_proofs(desk: Desk) -> None:
    client, _ = await desk.enrolled("clinician", "ada")
    async with client:
        for path in ("checkpoint", "keys", "proofs/inclusion", "proofs/consistency", "tile/0/000.p/1"):
            assert (await client.get(f"{BASE}/{path}")).status == 403
