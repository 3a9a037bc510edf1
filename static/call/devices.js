// Camera, microphone and speaker: asked for once, switched at will, missing ones never stop anybody.

/** @typedef {"no_camera" | "no_microphone" | "nothing" | "blocked" | "busy" | null} Trouble */

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** What this browser gives of the wish for sound and picture. Never throws. */
export class Devices extends EventTarget {
  /** @type {MediaStreamTrack | null} */ audio = null;
  /** @type {MediaStreamTrack | null} */ video = null;
  /** @type {Trouble} */ trouble = null;
  /** @type {{audio: string | undefined, video: string | undefined}} */ chosen = { audio: undefined, video: undefined };

  /** Ask for both, then for each alone; joining by listening stays possible. */
  async open() {
    this.trouble = null;
    const both = await this.#ask({ audio: this.#audioWish(), video: this.#videoWish() });
    const stream = both ?? (await this.#ask({ audio: this.#audioWish() })) ?? (await this.#ask({ video: this.#videoWish() }));
    if (stream) this.trouble = both ? null : stream.getAudioTracks().length ? "no_camera" : "no_microphone";
    this.#take("audio", stream?.getAudioTracks()[0] ?? null);
    this.#take("video", stream?.getVideoTracks()[0] ?? null);
    this.#changed();
  }

  #audioWish() { return { ...AUDIO, deviceId: this.chosen.audio ? { exact: this.chosen.audio } : undefined }; }
  #videoWish() { return { ...VIDEO, deviceId: this.chosen.video ? { exact: this.chosen.video } : undefined }; }

  /** @param {MediaStreamConstraints} wish */
  async #ask(wish) {
    try {
      return await navigator.mediaDevices.getUserMedia(wish);
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      this.trouble = name === "NotAllowedError" ? "blocked" : name === "NotReadableError" ? "busy" : "nothing";
      return null;
    }
  }

  /** @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  #take(kind, track) {
    const before = this[kind];
    if (before !== track) before?.stop();
    if (kind === "audio" && before && track) track.enabled = before.enabled; // muted stays muted
    this[kind] = track;
    // A phone call or an unplugged headset ends or mutes the track: say so, one tap brings it back.
    track?.addEventListener("ended", () => this.#changed());
    track?.addEventListener("mute", () => this.#changed());
    track?.addEventListener("unmute", () => this.#changed());
  }

  #changed() { this.dispatchEvent(new Event("change")); }

  /** Whether a track we had died under us. */
  get broken() { return [this.audio, this.video].some((track) => track?.readyState === "ended"); }

  /** @param {"audio" | "video"} kind @param {string} id */
  async choose(kind, id) {
    this.chosen[kind] = id;
    if (kind === "video" && !this.video) return;
    const stream = await this.#ask(kind === "audio" ? { audio: this.#audioWish() } : { video: this.#videoWish() });
    if (!stream) return this.#changed();
    const fresh = stream.getTracks()[0];
    this.#take(kind, fresh);
    this.#changed();
  }

  /** @param {boolean} on */
  mute(on) {
    if (this.audio) this.audio.enabled = !on;
    this.#changed();
  }

  /** Switch the camera off so that its light goes out, or on again. @param {boolean} on */
  async camera(on) {
    if (!on) this.#take("video", null);
    else if (!this.video) this.#take("video", (await this.#ask({ video: this.#videoWish() }))?.getVideoTracks()[0] ?? null);
    this.#changed();
  }

  /** @returns {Promise<MediaDeviceInfo[]>} */
  async list() {
    return navigator.mediaDevices?.enumerateDevices?.() ?? [];
  }

  close() {
    this.#take("audio", null);
    this.#take("video", null);
  }
}

/** How loud a track is, 0–1, a few times a second, until `signal` aborts; nothing is shown while the browser does not let us listen.
 * @param {MediaStreamTrack} track @param {(level: number) => void} show @param {AbortSignal} signal */
export function meter(track, show, signal) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    if (context.state !== "running") {
      void context.resume().catch(() => null);
      return;
    }
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    show(Math.min(1, Math.sqrt(power) * 4));
  }, 100);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    void context.close();
  }, { once: true });
}
