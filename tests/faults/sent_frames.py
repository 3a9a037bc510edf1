"""What browsers really sent: a few octets out of the middle of every encoded frame, with the wall time."""

from collections.abc import Iterable
from dataclasses import dataclass

from playwright.sync_api import Page, Route

WORKER_PATH = "/test-frames-worker.js"
OCTETS = 32  # of every frame that has at least twice as many: silence and the like are all alike

WORKER = """
onrtctransform = ({ transformer }) => {
  const look = (frame, controller) => {
    const bytes = new Uint8Array(frame.data);
    if (bytes.length >= 2 * OCTETS) {
      const from = (bytes.length - OCTETS) >> 1;
      const hex = [...bytes.subarray(from, from + OCTETS)].map((one) => one.toString(16).padStart(2, "0")).join("");
      postMessage({ wall: Date.now() / 1000, leg: transformer.options.leg, hex });
    }
    controller.enqueue(frame);
  };
  transformer.readable.pipeThrough(new TransformStream({ transform: look })).pipeTo(transformer.writable);
};
""".replace("OCTETS", str(OCTETS))

# A sender gets its transform in the same tick as its track or before it, so that no frame goes out unseen.
SCRIPT = """
(() => {
  window.sent = [];
  let worker = null;
  const watch = (sender, leg) => {
    if (sender.transform) return;
    if (!worker) {
      worker = new Worker("PATH");
      worker.onmessage = ({ data }) => window.sent.push(data);
    }
    sender.transform = new RTCRtpScriptTransform(worker, { leg });
  };
  const { addTransceiver } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    const made = addTransceiver.call(this, track, init);
    watch(made.sender, init?.direction === "sendonly");
    return made;
  };
  const { replaceTrack } = RTCRtpSender.prototype;
  RTCRtpSender.prototype.replaceTrack = function (track) {
    watch(this, false);
    return replaceTrack.call(this, track);
  };
})();
""".replace("PATH", WORKER_PATH)


@dataclass(frozen=True)
class Sample:
    """`leg`: sent to the server's media port, else to the other browser. `wall`: seconds."""

    octets: bytes
    wall: float
    leg: bool


def serve_worker(page: Page) -> None:
    """Put the worker's script at a path of our own, as the page's policy demands."""

    def answer(route: Route) -> None:
        headers = {
            "Content-Type": "text/javascript",
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        route.fulfill(status=200, headers=headers, body=WORKER)

    page.context.route(f"**{WORKER_PATH}", answer)


def sampled(page: Page) -> list[Sample]:
    """Everything this page has sent so far."""
    return [Sample(bytes.fromhex(one["hex"]), one["wall"], one["leg"]) for one in page.evaluate("() => window.sent")]


def present_in(samples: Iterable[bytes], contents: Iterable[bytes]) -> set[bytes]:
    """Which of the samples are anywhere in the contents. One pass over these, however many samples there are."""
    wanted = frozenset(samples)
    heads = {one[:8] for one in wanted}
    found: set[bytes] = set()
    for content in contents:
        for at in range(len(content) - OCTETS + 1):
            if content[at : at + 8] in heads and content[at : at + OCTETS] in wanted:
                found.add(content[at : at + OCTETS])
    return found
