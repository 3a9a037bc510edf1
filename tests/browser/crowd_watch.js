// Listens to what this page plays of others, and notes when each shown picture got a frame and how long sound was missing.
// Of both, every stretch without any that is worth a name is kept too, in wall time: [from, to] in milliseconds.
() => {
  const LONG = 100;
  const ears = `registerProcessor("ears", class extends AudioWorkletProcessor {
    constructor() { super(); this.last = null; this.at = 0; this.worst = 0; this.silences = []; this.port.onmessage = () => {
      const now = this.last === null ? [] : [[this.at, Date.now()]];
      this.port.postMessage({ worst: Math.max(this.worst, this.last === null ? 0 : currentTime - this.last), heard: this.last !== null,
        silences: [...this.silences, ...now] }); }; }
    process([input]) {
      const loud = input.some((line) => line.some((sample) => Math.abs(sample) > 0.01));
      if (loud) {
        if (this.last !== null) this.worst = Math.max(this.worst, currentTime - this.last);
        if (this.last !== null && currentTime - this.last > ${LONG} / 1000) this.silences.push([this.at, Date.now()]);
        this.last = currentTime + 128 / sampleRate;
        this.at = Date.now();
      }
      return true;
    }
  });`;
  window.watching = (async () => {
    const context = new AudioContext();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([ears], { type: "text/javascript" })));
    const people = new Map();
    const person = (id) => {
      if (!people.has(id)) {
        const ear = new AudioWorkletNode(context, "ears", { numberOfOutputs: 0 });
        people.set(id, { ear, lines: new Map(), frame: null, frozen: 0, freezes: [] });
      }
      return people.get(id);
    };
    const wire = (one, video) => {
      const stream = video.srcObject;
      const track = stream?.getAudioTracks()[0] ?? null;
      const held = one.lines.get(video);
      if (held?.track === track) { if (held) held.gain.gain.value = video.muted ? 0 : 1; return; }
      held?.source.disconnect();
      one.lines.delete(video);
      if (!track) return;
      const source = context.createMediaStreamSource(new MediaStream([track]));
      const gain = context.createGain();
      gain.gain.value = video.muted ? 0 : 1;
      source.connect(gain).connect(one.ear);
      one.lines.set(video, { track, source, gain });
    };
    const look = (one, video) => video.requestVideoFrameCallback((now) => {
      if (video.classList.contains("shown")) {
        if (one.frame !== null) one.frozen = Math.max(one.frozen, now - one.frame);
        if (one.frame !== null && now - one.frame > LONG) one.freezes.push([one.frame, now].map((at) => at + performance.timeOrigin));
        one.frame = now;
      }
      if (video.isConnected) look(one, video);
    });
    const known = new WeakSet();
    setInterval(() => {
      for (const video of document.querySelectorAll(".tile video")) {
        const one = person(video.closest(".tile").dataset.participant);
        wire(one, video);
        if (!known.has(video)) { known.add(video); look(one, video); }
      }
    }, 10);
    const asked = (one) => new Promise((tell, fail) => {
      one.ear.port.onmessage = ({ data }) => tell(data);
      one.ear.port.postMessage(0);
      setTimeout(() => fail(new Error("the ear does not answer")), 10_000);
    });
    return {
      async stretches() {
        const found = {};
        for (const [id, one] of people) {
          const { silences } = await asked(one);
          const now = one.frame === null ? [] : [[one.frame, performance.now()].map((at) => at + performance.timeOrigin)];
          found[id] = { silences, freezes: [...one.freezes, ...now] };
        }
        return found;
      },
      async gaps() {
        const found = {};
        for (const [id, one] of people) {
          const { worst, heard } = await asked(one);
          found[id] = { silent: worst * 1000, heard, frozen: Math.max(one.frozen, one.frame === null ? 0 : performance.now() - one.frame), seen: one.frame !== null };
        }
        return found;
      },
    };
  })();
}
