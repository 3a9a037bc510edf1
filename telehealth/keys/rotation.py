"""Taking shares out of buckets so that older copies of those buckets die, and finishing what a kill interrupted.

Order of one change, over all its buckets: journal → new generations written and read back → journal says `ending` → old
epoch keys destroyed → proved dead → recorded → old bytes dropped → journal cleared. Up to `ending` a change is rolled
back: the old generations hold all that the new ones hold. From then on it only goes forward: a destruction whose answer
was lost may take effect whenever the provider gets to it, so an old key that still opens proves nothing. While an old
key will not end, the new generations are read and nothing is changed.
"""

import asyncio
import os
from collections.abc import Collection, Mapping

from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.ids import Entropy
from telehealth.keys.bucket import Bucket, Header
from telehealth.keys.generations import Generations, StillOpens, new_epoch
from telehealth.keys.index import Index, group_of
from telehealth.keys.journal import Journal, Step
from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, Provider, UnwrapFailed
from telehealth.keys.shelf import Shelf
from telehealth.log import get_logger

log = get_logger(__name__)


class KeyStoreDamaged(Refusal):
    """Neither generation of a bucket opens, or its index and its bytes disagree; nothing was dropped or destroyed."""

    code = "key_store_damaged"
    reason = Reason.UNAVAILABLE
    message = "The key store is damaged. Restore its folder or its provider, then start again."


class Rotation:
    """The two operations that end generations: `take_out` and, at a start or after a failure, `resolve`."""

    def __init__(
        self, shelf: Shelf, journal: Journal, provider: Provider, clock: Clock, entropy: Entropy = os.urandom
    ) -> None:
        self._shelf = shelf
        self._journal = journal
        self._provider = provider
        self._clock = clock
        self._entropy = entropy
        self._generations = Generations(shelf, provider, entropy)

    async def take_out(self, index: Index, drops: Mapping[str, frozenset[str]], *, destroys: bool) -> None:
        """Drop these files' shares from these buckets, end the old generations, bring the index up to date."""
        opened = [await self._generations.read(index.header(bucket)) for bucket in sorted(drops)]
        steps = tuple(self._step(bucket, drops[bucket.header.bucket], destroys) for bucket in opened)
        await asyncio.to_thread(self._journal.begin, steps)
        fresh = [await self._renew(bucket, step) for bucket, step in zip(opened, steps, strict=True)]
        await asyncio.to_thread(self._journal.end, steps)
        for bucket in opened:
            await self._generations.end(bucket.header)
        await self._forget(steps)
        for bucket, renewed in zip(opened, fresh, strict=True):
            index.drop(bucket.header.bucket)
            if renewed is not None:
                index.put(renewed.header)

    async def resolve(self) -> Index:
        """Finish or undo the change under way and read the index anew; it tells what is `unended`.

        Raises KeyStoreDamaged, KeyServiceUnavailable.
        """
        await asyncio.to_thread(self._shelf.clear_torn)
        steps, is_ending = await asyncio.to_thread(self._journal.under_way)
        try:
            await self._finish(steps, is_ending)
        except (KeyServiceUnavailable, StillOpens) as refusal:
            if not is_ending:
                raise
            log.error("keys.old_key_not_ended", code=refusal.code, count=len(steps))
            return await self._unended(steps)
        index = Index(await self._alive())
        await self._finish_moves(index)
        await self._heal(index)
        return index

    async def _finish(self, steps: tuple[Step, ...], is_ending: bool) -> None:
        if steps:
            headers = await asyncio.to_thread(self._shelf.headers)
            done = [step for step in steps if await self._went_forward(step, headers, is_ending)]
            await self._forget(tuple(done))
            log.warning("keys.change_resolved", count=len(steps), outcome=f"{len(done)} finished")

    async def _unended(self, steps: tuple[Step, ...]) -> Index:
        """The new generations in place of those whose keys are to end."""
        leaves = frozenset(file_id for step in steps for file_id in step.leaves)
        living = await self._alive(without={step.old_name for step in steps})
        if not {step.new_name for step in steps if step.new} <= {header.file_name for header in living}:
            raise KeyStoreDamaged
        return Index(living, unended=leaves)

    async def _heal(self, index: Index) -> None:
        """Write anew, to every place, what one of them lacks or has in an older revision; drop what is superseded."""
        if len(self._shelf.places) == 1:
            return
        behind = await asyncio.to_thread(self._shelf.behind, index.headers())
        for header in behind:
            await self._generations.write(await self._generations.read(header))
        living = {header.file_name for header in index.headers()}
        over = index.file_ids() | await asyncio.to_thread(self._journal.all_ended)
        dead = (await asyncio.to_thread(self._shelf.headers)).values()
        for header in dead:
            if header.file_name not in living and over.issuperset(header.files):
                await self._generations.drop(header.file_name)
        if behind:
            log.warning("keys.place_healed", count=len(behind))

    def _step(self, bucket: Bucket, leaves: frozenset[str], destroys: bool) -> Step:
        if not leaves <= bucket.shares.keys():
            raise KeyStoreDamaged
        return Step(
            bucket=bucket.header.bucket,
            old=bucket.header.epoch,
            new=new_epoch(self._entropy) if bucket.shares.keys() - leaves else None,
            leaves=tuple(sorted(leaves)),
            destroys=destroys,
        )

    async def _renew(self, bucket: Bucket, step: Step) -> Bucket | None:
        """The new generation, unless nothing stays."""
        if step.new is None:
            return None
        kept = {file_id: share for file_id, share in bucket.shares.items() if file_id not in step.leaves}
        return await self._generations.begin(step.bucket, step.new, group_of(bucket.header), kept)

    async def _forget(self, steps: tuple[Step, ...]) -> None:
        """Record what steps destroyed whose old key is dead, drop the dead bytes, clear the journal."""
        now = self._clock.now()
        for step in steps:
            if step.destroys:
                await asyncio.to_thread(self._journal.record, step, now)
            if step.old is not None:
                await self._generations.drop(step.old_name)
        await asyncio.to_thread(self._journal.clear)

    async def _went_forward(self, step: Step, headers: Mapping[str, Header], is_ending: bool) -> bool:
        """Whether the step now counts as done; one that does not was undone."""
        old, new = headers.get(step.old_name), headers.get(step.new_name)
        renewed = await self._readable(new)
        if step.old is not None and not is_ending and await self._provider.exists(step.old):
            if await self._readable(old) is None:
                raise KeyStoreDamaged
            await self._undo(step)
            return False
        if renewed is not None:
            await self._generations.write(renewed)  # a kill may have left it in one place of two
        elif step.old is None:
            await self._undo(step)
            return False
        elif step.new is not None:
            raise KeyStoreDamaged
        if old is not None:
            await self._generations.end(old)
        elif step.old is not None:
            await self._provider.destroy(step.old)  # its bytes are gone already
        return True

    async def _undo(self, step: Step) -> None:
        if step.new is not None:
            await self._provider.destroy(step.new)
            await self._generations.drop(step.new_name)

    async def _readable(self, header: Header | None) -> Bucket | None:
        if header is None:
            return None
        try:
            return await self._generations.read(header)
        except (KeyDestroyed, UnwrapFailed):
            return None

    async def _alive(self, without: Collection[str] = ()) -> list[Header]:
        """The generations whose epoch key lives, one for each bucket; dead ones are alarmed, never removed."""
        found = await asyncio.to_thread(self._shelf.headers)
        headers = [header for name, header in found.items() if name not in without]
        alive = await self._provider.names("epoch-")
        for header in headers:
            if header.epoch not in alive:
                log.error("keys.bucket_without_key", bucket=header.bucket, count=len(header.files))
        living = [header for header in headers if header.epoch in alive]
        if len({header.bucket for header in living}) != len(living):
            raise KeyStoreDamaged
        return living

    async def _finish_moves(self, index: Index) -> None:
        """A share found under hold and elsewhere stays under hold, once its copy there was seen to be the same."""
        drops = index.twice()
        for bucket, file_ids in drops.items():
            here = await self._generations.read(index.header(bucket))
            for file_id in file_ids:
                place = index.find(file_id)
                if place is None or (await self._generations.read(place)).shares[file_id] != here.shares[file_id]:
                    raise KeyStoreDamaged
        if drops:
            await self.take_out(index, drops, destroys=False)
