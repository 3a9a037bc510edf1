// Line icons, drawn here, as path data on a 24 × 24 grid.

const PATHS = {
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11a7 7 0 0 0 14 0M12 18v3",
  micOff: "M9 9v2a3 3 0 0 0 4.6 2.5M15 10V6a3 3 0 0 0-5.7-1.3M5 11a7 7 0 0 0 11 5.7M19 11a7 7 0 0 1-.6 2.8M12 18v3M3 3l18 18",
  camera: "M3 7h11a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H3zM16 11l5-3v8l-5-3",
  cameraOff: "M10 7h4a2 2 0 0 1 2 2v3l5-4v8l-2-1M16 16a2 2 0 0 1-2 1H3V7h3M3 3l18 18",
  screen: "M3 5h18v11H3zM8 20h8M12 16v4M12 13V8M9.500 10.500 12 8l2.500 2.500",
  chat: "M4 5h16v11H9l-5 4z",
  leave: "M4 14c0-1 .5-2 1.500-2.600C7.500 10.200 9.700 9.600 12 9.600s4.500.6 6.500 1.800C19.500 12 20 13 20 14v1.500l-4.500-.8-.5-2.500a12 12 0 0 0-6 0l-.5 2.500-4.500.8z",
  record: "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5Z",
  stop: "M6 6h12v12H6z",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  people: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM2.500 20c.5-4 3-6 6.500-6s6 2 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2 .8 3.200 2.600 3.500 5.500",
  devices: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5a2 2 0 1 0 0 4 2 2 0 0 0 0-4ZM8 15a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
  close: "M6 6l12 12M18 6 6 18",
  lock: "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3",
  pulse: "M3 12h4l3-7 4 14 3-7h4",
  bell: "M6 17h12l-1.500-2.500V11a4.500 4.500 0 0 0-9 0v3.500zM10.500 20h3M12 6.500V5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
