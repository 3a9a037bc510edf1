"""The load of a soak, as a process: peers that come, restart and go one by one."""

import asyncio
import sys
from typing import Any

from benchmarks.clips import encode
from benchmarks.media_line import Line
from benchmarks.media_load import Engine, files_wanted
from benchmarks.pipe import serve


class Churn:
    """Takes orders for single peers, named by number."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lines: dict[int, Line] = {}
        self._made = 0

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = await self._engine.do(lambda: self._act(words))
        return found

    def _act(self, words: dict[str, Any]) -> dict[str, Any]:
        engine = self._engine
        if words["ask"] == "join":
            line = engine.publish(words["visit"], words["side"], True)
            engine.listen()
            self._made += 1
            self._lines[self._made] = line
            return {"line": self._made, "sdp": line.peer.describe()}
        line = self._lines[words["line"]]
        match words["ask"]:
            case "connect":
                line.peer.connect(words["sdp"])
            case "look":
                return self._look(line)
            case "play":
                engine.start(line)
            case "renew":
                return {"sdp": line.peer.renew()}
            case "leave":
                engine.leave(line, words["goodbye"])
                del self._lines[words["line"]]
                engine.listen()
            case unknown:
                raise ValueError(unknown)
        return {}

    @staticmethod
    def _look(line: Line) -> dict[str, Any]:
        """Whether it is up, and how many packets of other people came since the last look."""
        heard = sum(len(one.numbers) for one in line.hears.values())
        line.begin()
        return {"up": line.peer.live, "fault": line.peer.fault, "heard": heard}


async def main(seed: int) -> None:
    files_wanted()
    engine = Engine(await asyncio.to_thread(encode, seed), seed)
    engine.thread.start()
    try:
        await serve(Churn(engine).answer)
    finally:
        engine.end()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
