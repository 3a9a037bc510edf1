"""One socket that says far too much, in a process of its own; comes back each time it is cut.

`python -m benchmarks.socket_flood URL COOKIE SECONDS`: one JSON line for each time: frames sent, in how many
seconds, and seconds until the cut.
"""

import asyncio
import json
import sys
import time

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

A_SECOND = 20_000
BATCH = 100
LONGEST = 5.0  # seconds one round may take before it counts as never cut


async def main(url: str, cookie: str, seconds: float) -> None:
    """Flood, be cut, come back."""
    until = time.monotonic() + seconds
    headers = {"Origin": url, "Cookie": cookie}
    async with ClientSession(headers=headers) as session:
        while time.monotonic() < until:
            try:
                connected = await session.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket", max_msg_size=0)
            except WSServerHandshakeError as refused:
                if refused.status != 429:
                    raise
                await asyncio.sleep(0.05)  # and never as long as one is told
                continue
            async with connected as wire:
                await wire.receive_str()
                await wire.send_str('40/visit,{"join":true}')
                answer = await wire.receive_str()
                if not answer.startswith("40/visit,"):
                    raise RuntimeError(answer)
                begun = time.monotonic()
                sent, sending = await _flood(wire, begun)
                told = {"frames": sent, "sending": sending, "seconds": time.monotonic() - begun}
                print(json.dumps(told), flush=True)


async def _flood(wire: ClientWebSocketResponse, begun: float) -> tuple[int, float]:
    """Send so many a second until the server hangs up; how many went out, in how many seconds."""
    sent, sending = 0, 0.0
    listening = asyncio.create_task(_until_closed(wire))
    try:
        while not listening.done() and time.monotonic() - begun < LONGEST:
            for _ in range(BATCH):
                await wire.send_str(f'42/visit,{sent}["ping",{{}}]')
                sent += 1
            sending = time.monotonic() - begun
            await asyncio.sleep(max(0.0, begun + sent / A_SECOND - time.monotonic()))
    except (ConnectionError, RuntimeError):
        pass  # cut while sending, which is what is waited for
    await asyncio.wait([listening], timeout=LONGEST)
    if not listening.done():
        listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return sent, sending


async def _until_closed(wire: ClientWebSocketResponse) -> None:
    while (await wire.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
        continue


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
