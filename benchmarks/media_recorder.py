"""aiortc with its own MediaRecorder, as a process: one WebM file for each participant, decoded and encoded anew."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder

from benchmarks.loopback import peer_connection
from benchmarks.pipe import serve


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
            case "recording":
                return {}
            case "stop":
                for peer, recorder, _ in self._running:
                    await recorder.stop()
                    await peer.close()
                files = [str(path) for _, _, path in self._running]
                self._running = []
                return {"files": files}
        raise ValueError(words["ask"])

    async def _answer(self, offer: str) -> str:
        peer = peer_connection()
        path = self._folder / f"{self._round}-{len(self._running)}.webm"
        recorder = MediaRecorder(str(path))
        peer.on("track", recorder.addTrack)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await recorder.start()
        await peer.setLocalDescription(await peer.createAnswer())
        self._running.append((peer, recorder, path))
        return str(peer.localDescription.sdp)


if __name__ == "__main__":
    asyncio.run(serve(Server(Path(sys.argv[1])).answer))
