// One moving picture that may come by several ways: each way has a video element of its own, and the newer one takes
// over with its first frame, so that nothing flickers when media takes another way.
import { h } from "./dom.js";

/** @typedef {{way: object, tracks: MediaStreamTrack[], loud: boolean}} Feed */

/** Since `requestVideoFrameCallback` some older browsers have only this. @param {HTMLVideoElement} video @param {() => void} then */
const onFrame = (video, then) => {
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(then);
  else /** @type {HTMLVideoElement} */ (video).addEventListener("timeupdate", then, { once: true });
};

export class Picture {
  /** @type {Map<object, {video: HTMLVideoElement, painted: boolean}>} by way, in the order they were made */
  #feeds = new Map();
  #speaker = "";

  /** @param {{id: string, class: string, silent: boolean}} options `id` of the element that is shown */
  constructor(options) {
    this.options = options;
    this.id = options.id;
    this.root = h("div", { class: `picture ${options.class}` });
  }

  /** @param {Feed[]} feeds in the order the ways were made */
  show(feeds) {
    for (const [way, { video }] of this.#feeds) {
      if (feeds.some((feed) => feed.way === way)) continue;
      video.srcObject = null;
      video.remove();
      this.#feeds.delete(way);
    }
    for (const feed of feeds) this.#feed(feed);
    this.#pick();
  }

  /** @param {Feed} feed */
  #feed(feed) {
    const held = this.#feeds.get(feed.way) ?? this.#make(feed.way);
    const stream = /** @type {MediaStream | null} */ (held.video.srcObject);
    const before = stream?.getTracks() ?? [];
    if (before.length !== feed.tracks.length || feed.tracks.some((track) => !before.includes(track))) {
      held.video.srcObject = feed.tracks.length ? new MediaStream(feed.tracks) : null;
      held.painted = false;
      const source = held.video.srcObject;
      onFrame(held.video, () => {
        if (held.video.srcObject !== source) return;
        held.painted = true;
        this.#pick();
      });
    }
    held.video.muted = this.options.silent || !feed.loud;
    if (held.video.srcObject && held.video.paused) held.video.play().catch(() => null); // until the person taps the page
  }

  /** @param {object} way */
  #make(way) {
    const video = h("video", { autoplay: true, playsinline: true });
    if (this.#speaker && "setSinkId" in video) void video.setSinkId(this.#speaker).catch(() => null);
    const held = { video, painted: false };
    this.#feeds.set(way, held);
    this.root.append(video);
    return held;
  }

  /** The newest that has shown something is on top; the others go on below it. */
  #pick() {
    const all = [...this.#feeds.values()];
    const top = all.findLast((one) => one.painted) ?? all.at(-1);
    for (const one of all) {
      one.video.classList.toggle("shown", one === top);
      if (one === top && this.id) one.video.id = this.id;
      else one.video.removeAttribute("id");
    }
  }

  /** @param {string} id of a speaker */
  async speakThrough(id) {
    this.#speaker = id;
    await Promise.all([...this.#feeds.values()].map(({ video }) => video.setSinkId(id)));
  }

  close() { this.show([]); }
}
