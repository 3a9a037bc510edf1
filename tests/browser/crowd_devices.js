// A tone and a 320 × 180 picture that changes 15 times a second, instead of devices.
([hertz, colour]) => {
  let made = null;
  function make() {
    const context = new AudioContext();
    const tone = context.createOscillator();
    const gain = context.createGain();
    const out = context.createMediaStreamDestination();
    tone.frequency.value = hertz;
    gain.gain.value = 0.3;
    tone.connect(gain).connect(out);
    tone.start();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 180];
    const brush = canvas.getContext("2d");
    let frame = 0;
    setInterval(() => {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 320, 180);
      brush.fillStyle = "#fff";
      brush.fillRect((frame++ * 8) % 320, 150, 24, 24);
    }, 66);
    return { sound: out.stream.getAudioTracks()[0], picture: canvas.captureStream(15).getVideoTracks()[0] };
  }
  navigator.mediaDevices.getUserMedia = async (wish) => {
    made ??= make();
    const stream = new MediaStream();
    if (wish.audio) stream.addTrack(made.sound.clone());
    if (wish.video) stream.addTrack(made.picture.clone());
    return stream;
  };
}
