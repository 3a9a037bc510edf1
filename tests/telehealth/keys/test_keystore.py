"""Shares live in exactly one bucket; what was destroyed stays so, what is held stays whole."""

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telehealth.errors import Malformed, WrongState
from telehealth.keys.bucket import CAPACITY
from telehealth.keys.index import Group
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from telehealth.keys.refusals import Held, ShareExists
from telehealth.keys.shelf import KeyStoreBusy, survey

from .conftest import DAY, House


async def gone(house: House, file_id: str) -> bool:
    with pytest.raises(KeyDestroyed):
        await house.opens(file_id)
    return not await house.store.present(file_id)


async def test_a_key_comes_back_after_a_restart(house: House) -> None:
    await house.create("fil_a", "fil_b")
    await house.restart()
    assert await house.opens("fil_a")
    assert await house.opens("fil_b")
    assert house.rows["fil_a"][2] != house.rows["fil_b"][2]
    assert await house.store.file_ids() == {"fil_a", "fil_b"}


async def test_a_destroyed_key_is_gone_and_its_neighbours_live(house: House) -> None:
    await house.create("fil_a", "fil_b", "fil_c")
    done = await house.store.destroy(["fil_a", "fil_b"])
    assert done.file_ids == ("fil_a", "fil_b")
    assert len(done.buckets) == 1
    assert done.buckets[0].new_epoch_key is not None
    assert (done.provider, done.assurance, done.read_back) == ("file", "software-keystore", "key_destroyed")
    assert not await house.provider.exists(done.buckets[0].old_epoch_key)
    assert await gone(house, "fil_a")
    assert await house.opens("fil_c")
    await house.restart()
    assert await gone(house, "fil_b")
    assert await house.opens("fil_c")


async def test_the_last_share_takes_its_bucket_along(house: House) -> None:
    await house.create("fil_a")
    done = await house.store.destroy(["fil_a"])
    assert done.buckets[0].new_epoch_key is None
    status = await house.store.status()
    assert (status.buckets, status.shares, status.epoch_keys) == (0, 0, 0)


async def test_evidence_is_the_same_when_asked_again(house: House) -> None:
    await house.create("fil_a", "fil_b")
    first = await house.store.destroy(["fil_a"])
    house.clock.moment = house.clock.moment.replace(hour=20)
    await house.restart()
    assert await house.store.destroy(["fil_a"]) == first


async def test_what_never_was_here_is_certified_by_nobody(house: House) -> None:
    done = await house.store.destroy(["fil_strange"])
    assert (done.file_ids, done.unknown) == ((), ("fil_strange",))


async def test_a_hold_beats_a_deletion(house: House) -> None:
    await house.create("fil_a", "fil_b")
    await house.store.hold(["fil_a"])
    await house.store.hold(["fil_a"])
    with pytest.raises(Held):
        await house.store.destroy(["fil_b", "fil_a"])
    assert await house.opens("fil_a")
    assert await house.opens("fil_b")
    assert await house.store.held("fil_a")
    await house.restart()
    with pytest.raises(Held):
        await house.store.destroy(["fil_a"])
    status = await house.store.status()
    assert (status.buckets, status.shares, status.held, status.epoch_keys) == (2, 2, 1, 2)
    await house.store.release(["fil_a"])
    await house.store.release(["fil_a"])
    done = await house.store.destroy(["fil_a"])
    assert (done.file_ids, len(done.buckets)) == (("fil_a",), 1)  # moving to and from a hold is no destruction


async def test_a_hold_on_what_is_gone_is_refused_and_moves_nothing(house: House) -> None:
    await house.create("fil_a")
    with pytest.raises(KeyDestroyed):
        await house.store.hold(["fil_a", "fil_gone"])
    assert not await house.store.held("fil_a")


async def test_a_hold_and_a_deletion_at_once_leave_one_winner(house: House) -> None:
    for turn in range(6):
        file_id = f"fil_{turn}"
        await house.create(file_id)
        acts = [house.store.hold([file_id]), house.store.destroy([file_id])]
        held, destroyed = (0, 1) if turn % 2 else (1, 0)
        results = await asyncio.gather(*(acts if turn % 2 else reversed(acts)), return_exceptions=True)
        if await house.store.present(file_id):
            assert results[held] is None
            assert isinstance(results[destroyed], Held)
            assert await house.opens(file_id)
        else:
            assert isinstance(results[held], KeyDestroyed)


async def test_a_cancelled_caller_leaves_whole_buckets(house: House) -> None:
    await house.create("fil_a", "fil_b", "fil_c")
    for file_id in ("fil_a", "fil_b"):
        task = asyncio.create_task(house.store.destroy([file_id]))
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await house.opens("fil_c")
    await house.restart()
    assert await house.opens("fil_c")
    assert (await house.store.status()).stray_epoch_keys == ()


async def test_days_classes_and_holds_have_buckets_of_their_own(house: House) -> None:
    await house.create("fil_a", "fil_b")
    await house.create("fil_c", retention_class="minor")
    await house.create("fil_d", day=DAY.replace(day=3))
    await house.store.hold(["fil_a", "fil_c"])
    status = await house.store.status()
    assert (status.buckets, status.epoch_keys, status.shares) == (4, 4, 4)
    for file_id in house.rows:
        assert await house.opens(file_id)


async def test_a_full_bucket_makes_room_in_another(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("index", "keystore"):
        monkeypatch.setattr(f"telehealth.keys.{module}.CAPACITY", 3)
    ids = [f"fil_{n}" for n in range(8)]
    await house.create(*ids)
    assert (await house.store.status()).buckets == 3
    await house.store.hold(ids)
    assert (await house.store.status()).buckets == 3
    assert (await house.store.status()).held == 8
    for file_id in ids:
        assert await house.opens(file_id)


async def test_one_process_owns_the_folder(house: House, tmp_path: Path) -> None:
    other = KeyStore(tmp_path / "store", house.provider, house.keyring, house.clock)
    with pytest.raises(KeyStoreBusy):
        await other.start()
    with pytest.raises(WrongState):
        await other.present("fil_a")
    await house.create("fil_a")
    assert await asyncio.to_thread(survey, tmp_path / "store") == (1, 1, 0)


async def test_a_file_gets_its_key_once_and_odd_names_are_refused(house: House) -> None:
    await house.create("fil_a")
    with pytest.raises(ShareExists):
        await house.create("fil_a")
    for file_id, retention_class in (("../x", "adult"), ("", "adult"), ("fil_b", "a b"), ("fil_b\n", "adult")):
        with pytest.raises(Malformed):
            await house.create(file_id, retention_class=retention_class)


async def test_rewrapping_leaves_the_key_as_it_is(house: House) -> None:
    await house.create("fil_a")
    await house.keyring.rotate()
    wrapped, wrapping_key, dek = house.rows["fil_a"]
    again = await house.store.rewrap("fil_a", wrapped_share=wrapped, wrapping_key=wrapping_key)
    assert again.wrapping_key == "wrapping-2"
    await house.keyring.retire("wrapping-1")
    house.rows["fil_a"] = (again.blob, again.wrapping_key, dek)
    assert await house.opens("fil_a")


async def test_every_file_is_for_us_alone(house: House, tmp_path: Path) -> None:
    await house.create("fil_a", "fil_b")
    await house.store.destroy(["fil_b"])
    await house.keyring.secret("fields")
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []


async def test_adding_to_a_bucket_nearly_full_is_fast(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.create("fil_a")
    index = house.store._index
    assert index is not None
    many = {f"fil_{n:026}": bytes(32) for n in range(CAPACITY - 10)}
    await house.store._fill(index, Group(DAY, "adult", held=False), many)
    took = []
    for n in range(9):
        started = time.perf_counter()
        await house.create(f"fil_x{n}")
        took.append(time.perf_counter() - started)
    assert min(took) < 0.02
    assert (await house.store.status()).buckets == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(st.sampled_from("chrdx"), st.sampled_from("abcd")), max_size=14), salt=st.uuids())
def test_any_order_of_acts_keeps_what_lives_and_ends_what_was_ended(
    acts: list[tuple[str, str]], salt: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(_play(acts, tmp_path_factory.mktemp("acts")))


async def _play(acts: list[tuple[str, str]], folder: Path) -> None:
    house = await House(folder).start()
    state: dict[str, str] = {}
    for act, name in acts:
        try:
            await _act(house, state, act, name)
        except KeyDestroyed:
            assert state.get(name) in (None, "gone")
        except Held:
            assert state[name] == "held"
    for name, fate in state.items():
        if fate == "gone":
            assert await gone(house, name)
        else:
            assert await house.opens(name)
            assert await house.store.held(name) == (fate == "held")
    status = await house.store.status()
    assert (status.stray_epoch_keys, status.lost_buckets, status.epoch_keys) == ((), (), status.buckets)
    await house.store.close()


async def _act(house: House, state: dict[str, str], act: str, name: str) -> None:
    if act == "c" and name not in state:
        await house.create(name)
        state[name] = "live"
    elif act == "h":
        await house.store.hold([name])
        state[name] = "held"
    elif act == "r":
        await house.store.release([name])
        state[name] = "live"
    elif act == "d":
        state |= dict.fromkeys((await house.store.destroy([name])).file_ids, "gone")
    elif act == "x":
        await house.restart()
