"""The people who stay for the whole test."""

from tests.order.place import Member, Place


async def root_of(place: Place) -> Member:
    """The same admin for all acts that do not end their session."""
    if not hasattr(place, "root"):
        place.root = await place.member("admin")  # type: ignore[attr-defined]
    return place.root  # type: ignore[attr-defined,no-any-return]


async def second_of(place: Place) -> Member:
    """Another admin, for what one alone may not."""
    if not hasattr(place, "second"):
        place.second = await place.member("admin")  # type: ignore[attr-defined]
    return place.second  # type: ignore[attr-defined,no-any-return]


async def ada_of(place: Place) -> Member:
    if not hasattr(place, "ada"):
        place.ada = await place.member("clinician")  # type: ignore[attr-defined]
    return place.ada  # type: ignore[attr-defined,no-any-return]
