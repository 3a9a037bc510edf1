// What of somebody flows by a way right now.

/** @param {{from: (participant: string) => import("./leg.js").Receivers}} way @param {string} participant */
export function flowing(way, participant) {
  const { audio, camera } = way.from(participant);
  const sound = sources(audio);
  return { sound: sound.length > 0, picture: sources(camera).length > 0, level: Math.max(0, ...sound.map((one) => one.audioLevel ?? 0)) };
}

/** What was played within the last second. @param {RTCRtpReceiver | null} receiver */
function sources(receiver) {
  const now = performance.timeOrigin + performance.now();
  return (receiver?.getSynchronizationSources() ?? []).filter((one) => now - one.timestamp < 1000);
}
