// One leg to the server's media port: sends this person's sound and picture to the recorder, nothing back.

export class Leg {
  /** @type {RTCRtpSender | null} */ #audio = null;
  /** @type {RTCRtpSender | null} */ #video = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #restart;
  #closed = false;

  /** @param {(sdp: string) => Promise<string>} exchange gives the server's answer to an offer */
  constructor(exchange) {
    this.exchange = exchange;
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.connection.addEventListener("connectionstatechange", () => this.#stateChanged());
  }

  /** @param {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} tracks */
  async open(tracks) {
    this.#audio = this.connection.addTransceiver(tracks.audio ?? "audio", { direction: "sendonly" }).sender;
    this.#video = this.connection.addTransceiver(tracks.video ?? "video", { direction: "sendonly" }).sender;
    await this.#negotiate();
  }

  async #negotiate() {
    await this.connection.setLocalDescription();
    const answer = await this.exchange(this.connection.localDescription?.sdp ?? "");
    if (!this.#closed) await this.connection.setRemoteDescription({ type: "answer", sdp: answer });
  }

  #stateChanged() {
    clearTimeout(this.#restart);
    const state = this.connection.connectionState;
    if (state !== "failed" && state !== "disconnected") return;
    this.#restart = setTimeout(() => {
      this.connection.restartIce();
      this.#negotiate().catch(() => null); // the server closes a leg that stays silent, and says so in the view
    }, state === "failed" ? 0 : 2000);
  }

  /** @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  async use(kind, track) {
    await (kind === "audio" ? this.#audio : this.#video)?.replaceTrack(track);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#restart);
    this.connection.close();
  }
}
