"""aiortc with its own MediaRecorder, as a process: one WebM file for each participant, decoded and encoded anew.

It is given a hand: sound waits for the first picture, for a file that begins with sound loses its video.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder
from aiortc.mediastreams import MediaStreamTrack

from benchmarks.loopback import peer_connection
from benchmarks.pipe import serve


class _PictureFirst(MediaStreamTrack):  # type: ignore[misc]  # upstream has no types here
    """A track as it comes; sound before the first picture is dropped."""

    def __init__(self, source: MediaStreamTrack, began: asyncio.Event) -> None:
        super().__init__()
        self.kind = source.kind
        self._source = source
        self._began = began

    async def recv(self) -> Any:
        frame = await self._source.recv()
        if self.kind == "video":
            asyncio.get_running_loop().call_soon(self._began.set)
        while not self._began.is_set() and self.kind == "audio":
            frame = await self._source.recv()
        return frame


class Server:
    """Answers offers, records whatever comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._round = 0
        self._running: list[tuple[RTCPeerConnection, MediaRecorder, Path]] = []

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        match words["ask"]:
            case "answers":
                self._round += 1
                return {"answers": [await self._answer(offer) for offer in words["offers"]]}
            case "stop":
                for peer, recorder, _ in self._running:
                    await recorder.stop()
                    await peer.close()
                files = [str(path) for _, _, path in self._running]
                self._running = []
                return {"files": files}
        raise ValueError(words["ask"])

    async def _answer(self, offer: str) -> str:
        peer, began = peer_connection(), asyncio.Event()
        path = self._folder / f"{self._round}-{len(self._running)}.webm"
        recorder = MediaRecorder(str(path))
        peer.on("track", lambda track: recorder.addTrack(_PictureFirst(track, began)))
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await recorder.start()
        await peer.setLocalDescription(await peer.createAnswer())
        self._running.append((peer, recorder, path))
        return str(peer.localDescription.sdp)


if __name__ == "__main__":
    asyncio.run(serve(Server(Path(sys.argv[1])).answer))
