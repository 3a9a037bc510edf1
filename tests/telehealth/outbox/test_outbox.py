"""Messages get out, or say why not; and leave nothing behind."""

import asyncio
from datetime import timedelta

import pytest
from outbox_parts import PostOffice

from telehealth.outbox.messages import Message
from telehealth.outbox.outbox import ChannelOff, OutboxFull, Retry


async def test_a_message_is_entered_sent_and_forgotten(office: PostOffice) -> None:
    visit, link = await office.visit()
    await office.queue("canary text", visit=visit, link=link)
    assert await office.outbox.deliver_due() == 1
    ((to, message),) = office.tray.sent
    assert (to, message) == ("+436601234567", Message("canary text"))
    assert await office.entries() == [("link.send", "intent"), ("link.send", "done")]
    (row,) = await office.rows()
    assert row["sent_at"] == office.clock.now()
    assert (row["to_sealed"], row["body_sealed"]) == (b"", b"")
    assert office.changed == [visit]
    assert await office.outbox.deliver_due() == 0


async def test_what_waits_is_sealed(office: PostOffice) -> None:
    await office.queue("canary text")
    await office.store.checkpoint()
    content = (office.folder / "telehealth.db").read_bytes()
    assert b"canary text" not in content
    assert b"436601234567" not in content


async def test_a_failing_gateway_is_tried_again_later_and_later(office: PostOffice) -> None:
    visit, link = await office.visit()
    await office.queue(visit=visit, link=link)
    office.tray.fail(3)
    waits = []
    for _ in range(3):
        assert await office.outbox.deliver_due() == 1
        (row,) = await office.rows()
        assert (row["failure"], row["given_up_at"]) == ("unreachable", None)
        waits.append((row["next_at"] - office.clock.now()).total_seconds())
        assert await office.outbox.deliver_due() == 0
        office.clock.step(seconds=waits[-1])
    assert waits == [5, 10, 20]
    await office.outbox.deliver_due()
    (row,) = await office.rows()
    assert (row["failure"], row["attempts"]) == (None, 4)
    assert len(office.tray.sent) == 1
    assert office.changed == [visit] * 4


async def test_a_final_refusal_is_given_up_and_shown(office: PostOffice) -> None:
    await office.queue()
    office.tray.fail(1, final=True)
    await office.outbox.deliver_due()
    (row,) = await office.rows()
    assert (row["failure"], row["sent_at"], row["body_sealed"]) == ("unreachable", None, b"")
    assert row["given_up_at"] is not None
    assert ("link.send", "failed") in await office.entries()


async def test_a_message_that_is_over_is_not_sent(office: PostOffice) -> None:
    await office.queue(expires=office.clock.now() + timedelta(minutes=1))
    office.clock.step(minutes=1)
    await office.outbox.deliver_due()
    (row,) = await office.rows()
    assert row["failure"] == "expired"
    assert office.tray.sent == []


async def test_nothing_is_tried_past_its_end(office: PostOffice) -> None:
    await office.queue(expires=office.clock.now() + timedelta(seconds=5))
    office.tray.fail(1)
    await office.outbox.deliver_due()
    assert (await office.rows())[0]["given_up_at"] is not None


async def test_a_newer_code_replaces_the_one_that_waits_but_not_the_link(office: PostOffice) -> None:
    visit, link = await office.visit()
    await office.queue("the link", visit=visit, link=link)
    await office.queue("old code", visit=visit, link=link, kind="code")
    await office.queue("new code", visit=visit, link=link, kind="code")
    await office.outbox.deliver_due()
    assert sorted(message.text for _, message in office.tray.sent) == ["new code", "the link"]
    assert sorted(row["failure"] or "" for row in await office.rows()) == ["", "", "replaced"]
    assert ("code.send", "done") in await office.entries()


async def test_a_message_survives_a_crash_between_claim_and_delivery(office: PostOffice) -> None:
    sending = asyncio.Event()

    class Stuck:
        async def send(self, to: str, message: Message) -> None:
            sending.set()
            await asyncio.Event().wait()

    await office.queue()
    dying = asyncio.create_task(office.open({"sms": Stuck()}).deliver_due())
    await sending.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    again = office.open({"sms": office.tray})
    assert await again.deliver_due() == 0  # the lease of the one that died
    office.clock.step(seconds=60)
    assert await again.deliver_due() == 1
    assert len(office.tray.sent) == 1


async def test_while_the_log_is_down_nothing_is_sent_and_nothing_lost(office: PostOffice) -> None:
    await office.queue()
    await office.audit.close()
    await office.outbox.deliver_due()
    (row,) = await office.rows()
    assert (row["failure"], row["given_up_at"]) == ("log_unavailable", None)
    assert office.tray.sent == []


async def test_a_message_queued_in_a_transaction_that_fails_was_never_there(office: PostOffice) -> None:
    async def failing() -> None:
        async with office.store.begin() as connection:
            await office.queue(connection=connection)
            raise KeyError

    with pytest.raises(KeyError):
        await failing()
    assert await office.rows() == []


async def test_a_channel_that_is_off_is_refused(office: PostOffice) -> None:
    bare = office.open({})
    assert not bare.offers("sms")
    with pytest.raises(ChannelOff):
        await bare.queue("sms", "+1", Message("x"), visit=None, link=None, expires=office.clock.now())


async def test_a_full_outbox_says_so(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telehealth.outbox.outbox.MOST_WAITING", 2)
    await office.queue()
    await office.queue()
    with pytest.raises(OutboxFull):
        await office.queue()
    await office.outbox.deliver_due()
    await office.queue()


async def test_the_worker_delivers_what_comes_while_it_rests(office: PostOffice) -> None:
    arrived = asyncio.Event()

    class Bell:
        async def send(self, to: str, message: Message) -> None:
            arrived.set()

    office.outbox = office.open({"sms": Bell()})
    worker = asyncio.create_task(office.outbox.run())
    await asyncio.sleep(0)
    await office.queue()
    async with asyncio.timeout(5):
        await arrived.wait()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker


def test_the_wait_doubles_up_to_its_most() -> None:
    retry = Retry(first=5, most=300)
    assert [retry.after(n).total_seconds() for n in (1, 2, 3, 7, 50)] == [5, 10, 20, 300, 300]
