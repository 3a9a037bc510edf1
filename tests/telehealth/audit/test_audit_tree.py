"""RFC 6962 §2.1: the vectors of the Certificate Transparency project, and what must hold for every tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telehealth.audit import tree

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def nodes_over(hashes: list[bytes]) -> tree.Nodes:
    def node(level: int, index: int) -> bytes:
        if level == 0:
            return hashes[index]
        return tree.node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def mth(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not hashes:
        return tree.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return tree.node_hash(mth(hashes[:split]), mth(hashes[split:]))


VECTOR_HASHES = [tree.leaf_hash(leaf) for leaf in LEAVES]


@pytest.mark.parametrize("size", range(9))
def test_appending_gives_the_known_roots(size: int) -> None:
    edge = tree.CompactRange()
    for leaf in VECTOR_HASHES[:size]:
        edge.append(leaf)
    assert edge.root().hex() == ROOTS[size]
    assert tree.range_hash(0, size, nodes_over(VECTOR_HASHES)).hex() == ROOTS[size]


@pytest.mark.parametrize("place", INCLUSION)
def test_inclusion_proofs_are_the_known_ones(place: tuple[int, int]) -> None:
    assert [step.hex() for step in tree.inclusion_proof(*place, nodes_over(VECTOR_HASHES))] == INCLUSION[place]


@pytest.mark.parametrize("sizes", CONSISTENCY)
def test_consistency_proofs_are_the_known_ones(sizes: tuple[int, int]) -> None:
    assert [step.hex() for step in tree.consistency_proof(*sizes, nodes_over(VECTOR_HASHES))] == CONSISTENCY[sizes]


def hashes_of(size: int) -> list[bytes]:
    return [tree.leaf_hash(str(number).encode()) for number in range(size)]


@given(st.integers(0, 300))
def test_every_tree_has_the_root_that_the_standard_defines(size: int) -> None:
    edge = tree.CompactRange()
    hashes = hashes_of(size)
    for leaf in hashes:
        edge.append(leaf)
    assert edge.root() == edge.copy().root() == mth(hashes)


@given(st.integers(1, 200), st.data())
def test_an_inclusion_proof_proves_its_leaf_and_no_other(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    hashes = hashes_of(size)
    proof = tree.inclusion_proof(index, size, nodes_over(hashes))
    assert tree.verify_inclusion(hashes[index], index, size, proof, mth(hashes))
    assert tree.verify_inclusion(hashes[other], index, size, proof, mth(hashes)) == (other == index)
    assert tree.verify_inclusion(hashes[index], other, size, proof, mth(hashes)) == (other == index)
    assert not tree.verify_inclusion(hashes[index], index, size, [*proof, bytes(32)], mth(hashes))
    assert not proof or not tree.verify_inclusion(hashes[index], index, size, proof[:-1], mth(hashes))


@given(st.integers(0, 150), st.integers(0, 150), st.data())
def test_a_consistency_proof_proves_growth_alone(one: int, another: int, data: st.DataObject) -> None:
    old, new = sorted((one, another))
    hashes = hashes_of(new)
    proof = tree.consistency_proof(old, new, nodes_over(hashes))
    assert tree.verify_consistency(old, new, proof, mth(hashes[:old]), mth(hashes))
    if old:
        changed = list(hashes)
        changed[data.draw(st.integers(0, old - 1))] = bytes(32)
        assert not tree.verify_consistency(old, new, proof, mth(changed[:old]), mth(hashes))
        forged = tree.consistency_proof(old, new, nodes_over(changed))
        assert not tree.verify_consistency(old, new, forged, mth(hashes[:old]), mth(changed))
    assert not tree.verify_consistency(old, new, [*proof, bytes(32)], mth(hashes[:old]), mth(hashes))


@given(st.integers(0, 40), st.integers(0, 5))
def test_whole_subtrees_append_like_their_leaves(subtrees: int, level: int) -> None:
    hashes = hashes_of(subtrees << level)
    edge = tree.CompactRange()
    for at in range(0, len(hashes), 1 << level):
        edge.append(mth(hashes[at : at + (1 << level)]), level)
    assert edge.root() == mth(hashes)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError):
        tree.inclusion_proof(index, size, nodes_over(hashes_of(3)))
    assert not tree.verify_inclusion(bytes(32), index, size, [], bytes(32))


def test_sizes_from_the_future_have_no_proof() -> None:
    with pytest.raises(ValueError):
        tree.consistency_proof(4, 3, nodes_over(hashes_of(3)))
    assert not tree.verify_consistency(4, 3, [], bytes(32), bytes(32))
