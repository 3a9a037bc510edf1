"""The load, as a process: publishers that send what was encoded once, so that sending costs little."""

import asyncio
import random
import sys
import time
from fractions import Fraction
from typing import Any

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from benchmarks.clips import FPS, Clip, encode
from benchmarks.loopback import peer_connection
from benchmarks.pipe import serve

_NAP = 0.5  # seconds


class _Playing(MediaStreamTrack):  # type: ignore[misc]  # upstream has no types here
    """A clip in a loop, packet by packet, each at its time."""

    def __init__(self, kind: str, packets: list[bytes], step: Fraction, rate: int, offset: float) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        self._packets = packets
        self._step = step
        self._rate = rate
        self._offset = offset
        self._first = 0
        self._begun: float | None = None
        self._hushed = False

    def hush(self) -> None:
        """Send nothing more; the connection stays."""
        self._hushed = True

    def from_key_frame(self) -> None:
        """Go on with the clip's first picture, which is a key frame."""
        self._first = self.sent

    async def recv(self) -> Any:
        """The next packet; aiortc packs it as it is."""
        if self._begun is None:
            self._begun = time.monotonic() + self._offset
        ahead = self._begun + float(self.sent * self._step) - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        while self._hushed:
            await asyncio.sleep(_NAP)
        packet = av.Packet(self._packets[(self.sent - self._first) % len(self._packets)])
        packet.pts, packet.time_base = int(self.sent * self._step * self._rate), Fraction(1, self._rate)
        self.sent += 1
        return packet


class Load:
    """Two publishers for each visit."""

    def __init__(self, clip: Clip, seed: int) -> None:
        self._pictures = [data for data, _ in clip.video]
        self._sounds = list(clip.audio)
        self._chance = random.Random(seed)
        self._peers: list[RTCPeerConnection] = []
        self._tracks: list[_Playing] = []

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        match words["ask"]:
            case "offers":
                return {"offers": [await self._offer() for _ in range(2 * words["visits"])]}
            case "connect":
                await asyncio.gather(*map(self._connect, self._peers, words["answers"]))
                return {}
            case "hush":
                for track in self._tracks:
                    track.hush()
                return {"pictures": sum(track.sent for track in self._tracks if track.kind == "video")}
            case "stop":
                await asyncio.gather(*(peer.close() for peer in self._peers))
                self._peers, self._tracks = [], []
                return {}
        raise ValueError(words["ask"])

    async def _offer(self) -> str:
        peer = peer_connection()
        late = self._chance.random()
        sound = _Playing("audio", self._sounds, Fraction(1, 50), 48_000, late / 50)
        camera = _Playing("video", self._pictures, Fraction(1, FPS), 90_000, late / FPS)
        peer.addTransceiver(sound, direction="sendonly")
        sender = peer.addTransceiver(camera, direction="sendonly").sender
        sender._send_keyframe = camera.from_key_frame  # what a picture loss indication calls
        await peer.setLocalDescription(await peer.createOffer())
        self._peers.append(peer)
        self._tracks += [sound, camera]
        return str(peer.localDescription.sdp)

    async def _connect(self, peer: RTCPeerConnection, answer: str) -> None:
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(20):
            while peer.connectionState != "connected":
                await asyncio.sleep(0.02)


async def main(seed: int) -> None:
    await serve(Load(await asyncio.to_thread(encode, seed), seed).answer)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
