"""aiohttp alone, as a process: the same bytes in clear, by the same pieces or as a file by the kernel."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.pipe import serve

_PIECE = 1_048_576


class Clear:
    """`/stream` writes pieces as the recordings' handler does, `/file` is aiohttp's own FileResponse."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """One range of the file, read in a thread, piece by piece."""
        asked = request.http_range
        start, end = asked.start, asked.stop
        answer = web.StreamResponse(status=206)
        answer.content_type, answer.content_length = "video/webm", end - start
        with self._path.open("rb") as file:
            file.seek(start)
            await answer.prepare(request)
            for at in range(start, end, _PIECE):
                await answer.write(await asyncio.to_thread(file.read, min(_PIECE, end - at)))
        await answer.write_eof()
        return answer

    async def file(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._path)


async def main(path: Path) -> None:
    clear, app = Clear(path), web.Application()
    app.router.add_get("/stream", clear.stream)
    app.router.add_get("/file", clear.file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()

    async def answer(words: dict[str, Any]) -> dict[str, Any]:
        return {"port": runner.addresses[0][1]}

    try:
        await serve(answer)
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
