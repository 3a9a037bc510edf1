// Somebody arrived: sound, title badge, desktop notification.
import { t } from "./i18n.js";

/** Who waits now and did not before. @param {any} before @param {any} after @returns {{visit: string, name: string}[]} */
export function arrivals(before, after) {
  const seen = new Set(before.visits.flatMap((/** @type {any} */ visit) => visit.waiting.map((/** @type {any} */ one) => one.participant)));
  return after.visits.flatMap((/** @type {any} */ visit) => visit.waiting
    .filter((/** @type {any} */ one) => !seen.has(one.participant))
    .map(() => ({ visit: visit.id, name: visit.patient_name })));
}

/** @param {{visit: string, name: string}} arrival */
export function noticeArrival(arrival) {
  chime();
  if ("Notification" in window && Notification.permission === "granted") {
    // No name: notifications show on locked screens.
    const notice = new Notification(t("notice.title"), { body: t("notice.text"), tag: arrival.visit });
    notice.onclick = () => window.focus();
  }
}

/** @param {string} title @param {number} count */
export function titleBadge(title, count) {
  document.title = count ? `(${count}) ${title}` : title;
}

/** @type {AudioContext | null} */
let sound = null;

/** Two soft notes. */
export function chime() {
  sound ??= new AudioContext();
  const at = sound.currentTime;
  for (const [place, pitch] of [660, 880].entries()) {
    const tone = sound.createOscillator();
    const gain = sound.createGain();
    tone.frequency.value = pitch;
    gain.gain.setValueAtTime(0, at + place * 0.18);
    gain.gain.linearRampToValueAtTime(0.15, at + place * 0.18 + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, at + place * 0.18 + 0.5);
    tone.connect(gain).connect(sound.destination);
    tone.start(at + place * 0.18);
    tone.stop(at + place * 0.18 + 0.55);
  }
}
