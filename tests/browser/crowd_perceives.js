// How loud one tone is in what this page plays of somebody, and how many frames of theirs it has decoded.
async ([participant, hertz]) => {
  const videos = [...document.querySelectorAll(`.tile[data-participant="${participant}"] video`)];
  const video = videos.find((one) => one.classList.contains("shown"));
  const track = videos.find((one) => !one.muted && one.srcObject?.getAudioTracks().length)?.srcObject.getAudioTracks()[0];
  if (!video || !track) return null;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 4096;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  await new Promise((done) => setTimeout(done, 250));
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const peak = bins.indexOf(Math.max(...bins));
  await context.close();
  const canvas = new OffscreenCanvas(16, 9);
  const brush = canvas.getContext("2d");
  brush.drawImage(video, 0, 0, 16, 9);
  return { frames: video.getVideoPlaybackQuality().totalVideoFrames, colour: Array.from(brush.getImageData(8, 2, 1, 1).data).slice(0, 3),
    hertz: peak * context.sampleRate / analyser.fftSize, level: Math.max(...bins) };
}
