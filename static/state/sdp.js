// What of an offer the server needs. Pure.

const KEPT = /^(opus|VP8)\//i;

/** The offer without codecs the media port does not speak: eight people's offers would not fit into one message.
 * @param {string} sdp @returns {string} */
export function slim(sdp) {
  const [session, ...media] = sdp.split(/^(?=m=)/m);
  return [session, ...media.map(thin)].join("");
}

/** @param {string} section one m-line with its attributes */
function thin(section) {
  const lines = section.split("\r\n");
  const kept = payloads(lines);
  if (!kept.size) return section;
  return lines.filter((line) => {
    const type = /^a=(?:rtpmap|rtcp-fb|fmtp):(\d+) /.exec(line)?.[1];
    return type === undefined || kept.has(type);
  }).map((line) => (line.startsWith("m=") ? first(line, kept) : line)).join("\r\n");
}

/** Opus, VP8, and what sends VP8 again. @param {string[]} lines */
function payloads(lines) {
  const kept = new Set(lines.flatMap((line) => {
    const map = /^a=rtpmap:(\d+) (.+)$/.exec(line);
    return map && KEPT.test(map[2]) ? [map[1]] : [];
  }));
  const again = lines.flatMap((line) => {
    const apt = /^a=fmtp:(\d+) apt=(\d+)$/.exec(line);
    return apt && kept.has(apt[2]) ? [apt[1]] : [];
  });
  return new Set([...kept, ...again]);
}

/** @param {string} line @param {Set<string>} kept */
function first(line, kept) {
  const [kind, port, protocol, ...types] = line.split(" ");
  return [kind, port, protocol, ...types.filter((type) => kept.has(type))].join(" ");
}

/** The certificate a description speaks for. @param {string | undefined} sdp @returns {string | undefined} */
export const fingerprint = (sdp) => /^a=fingerprint:(.+)$/m.exec(sdp ?? "")?.[1].trim().toLowerCase();
