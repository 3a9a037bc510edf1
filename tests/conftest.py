"""What every test is held to: no task left behind, no blocked event loop, no waiting for a browser without end."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from blockbuster import BlockBuster

from tests.overdue import LONGEST, LONGEST_SLOW, browsers_end_after
from tests.partners.softhsm import SoftHsm

OURS = ["telehealth", "signaling", "recordings"]


@pytest.fixture(autouse=True)
def our_code_never_blocks_the_loop() -> Iterator[None]:
    """Fail where our own modules sleep, read, write or lock inside the running event loop."""
    guard = BlockBuster(scanned_modules=OURS)
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


@pytest.fixture
async def _tasks_before() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(5):  # what was cancelled may still need a turn of the loop
        await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task() and not task.done()]
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(autouse=True)
def no_task_is_left_behind(request: pytest.FixtureRequest) -> None:
    function = getattr(request.node, "function", None)
    if function is not None and inspect.iscoroutinefunction(function):
        request.getfixturevalue("_tasks_before")


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """The one token of this process: its library serves one folder of them for as long as a process lives."""
    return SoftHsm(tmp_path_factory.mktemp("softhsm"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The test, and what its fixtures do before and after."""
    if item.get_closest_marker("browser") is None:
        return (yield)
    with browsers_end_after(LONGEST_SLOW if item.get_closest_marker("slow") else LONGEST):
        return (yield)
