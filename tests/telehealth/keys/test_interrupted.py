"""Every change of the key store, cut off at every durable act and every call to the provider, before and after it."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from telehealth.keys.bucket import parse_header
from telehealth.keys.file import FileProvider
from telehealth.keys.generations import StillOpens
from telehealth.keys.journal import Journal, Step
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable
from telehealth.keys.shelf import survey
from telehealth.secret import Secret

from .conftest import DAY, House, Plug, Power

Act = Callable[[House], Awaitable[object]]


class FlakyProvider(FileProvider):
    """The real provider, whose line drops at the n-th call, before or after it took effect."""

    calls = 0
    at: int | None = None
    after = False

    def arm(self, at: int | None, *, after: bool = False) -> None:
        self.calls, self.at, self.after = 0, at, after

    async def _through(self, work: Callable[[], Awaitable[object]]) -> object:
        self.calls += 1
        cut = self.at is not None and self.calls >= self.at
        if cut and not (self.after and self.calls == self.at):
            raise KeyServiceUnavailable
        result = await work()
        if cut:
            raise KeyServiceUnavailable
        return result


def _flaky(name: str) -> None:
    real = getattr(FileProvider, name)

    async def call(self: FlakyProvider, *args: object) -> object:
        return await self._through(lambda: real(self, *args))

    setattr(FlakyProvider, name, call)


for _name in ("create", "exists", "names", "wrap", "unwrap", "destroy"):
    _flaky(_name)


async def destroy(house: House) -> object:
    return await house.store.destroy(["fil_a", "fil_c"])


async def hold(house: House) -> object:
    return await house.store.hold(["fil_a", "fil_c"])


async def release(house: House) -> object:
    return await house.store.release(["fil_h"])


async def create(house: House) -> object:
    return await house.create("fil_new1", "fil_new2", day=DAY.replace(day=9))


ACTS: dict[str, Act] = {"destroy": destroy, "hold": hold, "release": release, "create": create}


async def furnished(folder: Path, *, two_places: bool) -> House:
    """Two buckets of two, one of which ends with `destroy`, and one held share."""
    house = await House(folder, two_places=two_places).start()
    await house.create("fil_a", "fil_b", "fil_h")
    await house.create("fil_c", day=DAY.replace(day=3))
    await house.store.hold(["fil_h"])
    return house


async def likeness(model: House, folder: Path) -> House:
    """The same house in another folder, started."""
    await asyncio.to_thread(shutil.copytree, model.folder, folder)
    return await House(folder, model.two_places, root=model.root, rows=dict(model.rows)).start()


def held_on_disk(house: House) -> set[str]:
    """Files whose share lies in a hold bucket that opens, and that no change is past keeping."""
    found: set[str] = set()
    steps, is_ending = Journal(house.folder / "store").under_way()
    ending = {step.old for step in steps if is_ending}
    for path in (house.folder / "store").glob("*.bucket"):
        header, _ = parse_header(path.read_bytes())
        key_file = house.folder / "provider" / f"{header.epoch}.key"
        if header.held and header.epoch not in ending and key_file.exists() and key_file.read_bytes().strip(b"\0"):
            found.update(header.files)
    return found


async def tidy(house: House) -> None:
    """Each share in one bucket, each bucket in every place, each key file in use."""
    status = await house.store.status()
    assert (status.stray_epoch_keys, status.lost_buckets, status.epoch_keys) == ((), (), status.buckets)
    buckets, shares, held = await asyncio.to_thread(survey, house.folder / "store")
    assert (buckets, shares, held) == (status.buckets, status.shares, status.held)
    assert len(list((house.folder / "provider").glob("epoch-*"))) == buckets
    if house.two_places:
        names = [{path.name for path in (house.folder / p).glob("*.bucket")} for p in ("store", "second")]
        assert names[0] == names[1]


async def alive(house: House, file_id: str) -> bool:
    try:
        return await house.opens(file_id)
    except KeyDestroyed:
        return False


async def check(house: House, act: str) -> None:
    """Nothing that must live was lost, nothing destroyed comes back, and asking again finishes it."""
    await tidy(house)
    untouched = {"fil_b", "fil_h"} if act == "destroy" else {"fil_a", "fil_b", "fil_c", "fil_h"}
    for file_id in untouched:
        assert await house.opens(file_id)
    if act != "release":
        assert await house.store.held("fil_h")
    before = {file_id: await alive(house, file_id) for file_id in ("fil_a", "fil_c")}
    if act == "create":
        for file_id in await house.store.file_ids() - house.rows.keys():
            await house.store.destroy([file_id])  # a share whose key was never handed out
        house.rows = {file_id: row for file_id, row in house.rows.items() if not file_id.startswith("fil_new")}
        await house.store.destroy(["fil_new1", "fil_new2"])
    done = await ACTS[act](house)
    if act == "destroy":
        assert done.file_ids == ("fil_a", "fil_c")  # type: ignore[attr-defined]  # the acts differ in what they give
        assert not await alive(house, "fil_a")
        assert not await alive(house, "fil_c")
    elif act == "hold":
        assert before == {"fil_a": True, "fil_c": True}
        assert await house.store.held("fil_a")
        assert await house.store.held("fil_c")
    for file_id in untouched:
        assert await house.opens(file_id)
    await tidy(house)


@pytest.mark.parametrize(
    ("after", "two_places"), [(False, False), (True, False), (True, True)], ids=["before", "after", "two-places"]
)
@pytest.mark.parametrize("act", ACTS)
async def test_pulling_the_plug_at_any_act_loses_and_revives_nothing(
    act: str, after: bool, two_places: bool, tmp_path: Path, plug: Plug
) -> None:
    model = await furnished(tmp_path / "model", two_places=two_places)
    await model.store.close()
    n, finished = 0, False
    while not finished:
        n += 1
        house = await likeness(model, tmp_path / str(n))
        plug.arm(n, after=after)
        try:
            await ACTS[act](house)
            finished = True
        except (Power, KeyServiceUnavailable):
            finished = False
        plug.arm(None)
        under_hold = await asyncio.to_thread(held_on_disk, house)
        await house.restart()
        assert under_hold <= await asyncio.to_thread(held_on_disk, house)
        await check(house, act)
        if act == "destroy":
            await dead_in_copy(house, model.folder / "store", tmp_path / f"copy-{n}")
        await house.store.close()
    assert n > 4


async def dead_in_copy(house: House, before: Path, folder: Path) -> None:
    """A copy of the key store from before the deletion gives nothing back."""
    await asyncio.to_thread(shutil.copytree, before, folder)
    copy = KeyStore(folder, house.provider, house.keyring, house.clock)
    await copy.start()
    for file_id in ("fil_a", "fil_c"):
        wrapped, wrapping_key, _ = house.rows[file_id]
        with pytest.raises(KeyDestroyed):
            await copy.open(file_id, wrapped_share=wrapped, wrapping_key=wrapping_key)
    await copy.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", ACTS)
async def test_a_key_service_that_drops_at_any_call_while_we_go_on_loses_and_revives_nothing(
    act: str, after: bool, tmp_path: Path
) -> None:
    model = await furnished(tmp_path / "model", two_places=False)
    await model.store.close()
    n, finished = 0, False
    while not finished:
        n += 1
        house = await likeness(model, tmp_path / str(n))
        await house.store.close()
        flaky = FlakyProvider(house.folder / "provider", house.root)
        house.provider = flaky
        house.keyring._provider = flaky
        house.store = house._store()
        await house.store.start()
        flaky.arm(n, after=after)
        try:
            await ACTS[act](house)
            finished = True
        except KeyServiceUnavailable:
            finished = False
        flaky.arm(None)
        await check(house, act)
        await house.store.close()
    assert n > 4


class LateDestroy(FileProvider):
    """The real provider behind a line that loses the answer to the first destruction, which then takes its time."""

    late: str | None = None

    async def destroy(self, key_name: str) -> None:
        if self.late is None:
            self.late = key_name
            raise KeyServiceUnavailable
        await super().destroy(key_name)

    async def land(self) -> None:
        assert self.late is not None
        await super().destroy(self.late)


@pytest.mark.parametrize("meanwhile", [True, False], ids=["asked-meanwhile", "landed-first"])
async def test_a_destruction_that_takes_effect_after_its_answer_was_lost_takes_no_neighbour_along(
    meanwhile: bool, tmp_path: Path
) -> None:
    root = Secret(bytes(32))
    provider = LateDestroy(tmp_path / "provider", root)
    house = await House(tmp_path, root=root, make=lambda: provider).start()
    await house.create("fil_a", "fil_b")
    with pytest.raises(KeyServiceUnavailable):
        await house.store.destroy(["fil_a"])
    if meanwhile:
        assert await house.opens("fil_b")
    await provider.land()
    assert await house.opens("fil_b")
    await house.restart()
    assert await house.opens("fil_b")
    assert not await alive(house, "fil_a")
    assert (await house.store.destroy(["fil_a"])).file_ids == ("fil_a",)
    await tidy(house)
    await house.close()


class Forbidding(FileProvider):
    """The real provider, whose token may destroy nothing until somebody grants it."""

    grants = False

    async def destroy(self, key_name: str) -> None:
        if not self.grants:
            raise KeyServiceUnavailable
        await super().destroy(key_name)


@pytest.fixture(params=[False, True], ids=["one-place", "two-places"])
async def forbidden(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[House, Forbidding]]:
    """Two neighbours, and a provider that will not destroy."""
    root = Secret(bytes(32))
    provider = Forbidding(tmp_path / "provider", root)
    house = await House(tmp_path, two_places=request.param, root=root, make=lambda: provider).start()
    await house.create("fil_a", "fil_b")
    yield house, provider
    await house.close()


async def test_while_a_destruction_is_forbidden_neighbours_open_and_it_is_never_called_done(
    forbidden: tuple[House, Forbidding],
) -> None:
    house, provider = forbidden
    for refusal in (KeyServiceUnavailable, StillOpens):  # asked the first time, and again after a restart
        with pytest.raises(refusal):
            await house.store.destroy(["fil_a"])
        assert await house.opens("fil_b")
        for early in (
            house.opens("fil_a"),
            house.store.present("fil_a"),
            house.store.hold(["fil_b"]),
            house.create("n"),
        ):
            with pytest.raises(StillOpens):
                await early
        await house.restart()
        assert not await asyncio.to_thread(Journal(house.folder / "store").all_ended)
    provider.grants = True
    assert (await house.store.destroy(["fil_a"])).file_ids == ("fil_a",)
    assert not await alive(house, "fil_a")
    assert await house.opens("fil_b")
    await tidy(house)


async def test_a_move_whose_old_key_may_not_end_yet_keeps_both_readable(forbidden: tuple[House, Forbidding]) -> None:
    house, provider = forbidden
    with pytest.raises(KeyServiceUnavailable):
        await house.store.hold(["fil_a"])
    await house.restart()
    assert await house.opens("fil_a")
    assert await house.opens("fil_b")
    with pytest.raises(StillOpens):
        await house.store.hold(["fil_a"])
    provider.grants = True
    await house.store.hold(["fil_a"])
    assert await house.store.held("fil_a")
    assert await house.opens("fil_b")
    await tidy(house)


def test_a_journal_that_says_ending_in_one_place_of_two_goes_forward(tmp_path: Path) -> None:
    step = Step(bucket="bkt_1", old="epoch-a", new="epoch-b", leaves=("fil_a",), destroys=True)
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    both = Journal(tmp_path / "one", tmp_path / "two")
    assert both.under_way() == ((), False)
    both.begin((step,))
    assert both.under_way() == ((step,), False)
    Journal(tmp_path / "two").end((step,))
    assert both.under_way() == ((step,), True)
    both.clear()
    assert both.under_way() == ((), False)


@pytest.fixture
async def cut_off(tmp_path: Path, plug: Plug) -> AsyncIterator[House]:
    """A deletion of two buckets, cut off right after the first old key was destroyed."""
    house = await furnished(tmp_path, two_places=False)
    plug.arm(None)
    plug.at = 7  # journal, one new generation and its key, journal again, blank and remove of the first old key
    with pytest.raises((Power, KeyServiceUnavailable)):
        await destroy(house)
    plug.arm(None)
    yield house
    await house.store.close()


async def test_the_plug_pulled_during_recovery_too_is_survived(cut_off: House, plug: Plug) -> None:
    for n in range(1, 12):
        plug.arm(n)
        with contextlib.suppress(Power):
            await cut_off.restart()
        plug.arm(None)
    await cut_off.restart()
    await check(cut_off, "destroy")
