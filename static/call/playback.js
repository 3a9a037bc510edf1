// Several tracks on one clock: the furthest-back start is zero, each video follows by its offset.

/** @typedef {{id: string, offset_ms: number, milliseconds: number}} Track */

export class Playback extends EventTarget {
  #playing = false;
  #at = 0;
  #since = 0;
  #timer;

  /** @param {{video: HTMLVideoElement, track: Track}[]} players */
  constructor(players) {
    super();
    this.players = players;
    this.seconds = Math.max(0, ...players.map(({ track }) => (track.offset_ms + track.milliseconds) / 1000));
    this.#timer = setInterval(() => this.#step(), 100);
  }

  get playing() { return this.#playing; }

  /** Seconds on the common clock. */
  get at() {
    return this.#playing ? Math.min(this.seconds, this.#at + (performance.now() - this.#since) / 1000) : this.#at;
  }

  /** @param {number} seconds */
  async seek(seconds) {
    this.#at = Math.min(Math.max(0, seconds), this.seconds);
    this.#since = performance.now();
    await Promise.all(this.players.map((player) => this.#place(player)));
    this.#since = performance.now();
    this.dispatchEvent(new Event("tick"));
  }

  async play() {
    if (this.at >= this.seconds - 0.05) await this.seek(0);
    this.#since = performance.now();
    this.#playing = true;
    this.#step();
  }

  pause() {
    this.#at = this.at;
    this.#playing = false;
    for (const { video } of this.players) video.pause();
    this.dispatchEvent(new Event("tick"));
  }

  /** @param {{video: HTMLVideoElement, track: Track}} player */
  async #place({ video, track }) {
    const wished = this.at - track.offset_ms / 1000;
    if (video.readyState === 0) await new Promise((done) => video.addEventListener("loadedmetadata", done, { once: true }));
    video.currentTime = Math.max(0, wished);
    await new Promise((done) => {
      if (!video.seeking) done(null);
      else video.addEventListener("seeked", done, { once: true });
    });
  }

  /** Start and stop each track at its time; nudge one that drifts. */
  #step() {
    if (!this.#playing) return;
    const now = this.at;
    for (const { video, track } of this.players) {
      const wished = now - track.offset_ms / 1000;
      const inside = wished >= 0 && wished < track.milliseconds / 1000 - 0.02;
      if (!inside) video.pause();
      else if (video.paused) video.play().catch(() => null);
      const drift = video.currentTime - wished;
      if (inside && Math.abs(drift) > 0.25) video.currentTime = wished;
      else video.playbackRate = inside && Math.abs(drift) > 0.03 ? (drift > 0 ? 0.95 : 1.05) : 1;
    }
    if (now >= this.seconds) this.pause();
    this.dispatchEvent(new Event("tick"));
  }

  close() {
    clearInterval(this.#timer);
    this.pause();
  }
}
