// Layer names in the room that an axis has.

const LINE = 1.2; // height of a line of text in font sizes

// Cuts the middle out; the end is kept longer, which says which layer it is.
function shorten(name, limit) {
  const letters = Array.from(name);
  if (letters.length <= limit) return name;
  const head = Math.floor(limit / 3);
  return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - limit + head + 1).join("")}`;
}

function widest(pen, names) {
  return names.reduce((most, name) => Math.max(most, pen.measureText(name).width), 0);
}

// The names if they fit, else as much of them as does, else positions from 0: names that differ
// never look alike.
function fitNames(pen, names, room) {
  if (widest(pen, names) <= room) return { texts: names, numbered: false };
  const different = new Set(names).size;
  let limit = names.reduce((most, name) => Math.max(most, name.length), 0);
  while (limit > 4) {
    limit = Math.min(limit - 1, Math.ceil(limit * 0.9));
    const short = names.map((name) => shorten(name, limit));
    if (new Set(short).size < different) break;
    if (widest(pen, short) <= room) return { texts: short, numbered: false };
  }
  return { texts: names.map((_, i) => String(i)), numbered: true };
}

// Font size of an axis, and every how many layers bear a name so that lines do not touch.
function chooseFont(spacing) {
  const font = Math.min(12, Math.max(9, spacing / LINE));
  return { font, step: roundStep((font * LINE) / spacing) };
}

// The next of 1, 2, 5, 10, 20, 50, ...
function roundStep(least) {
  let step = 1;
  for (let i = 0; step < least - 1e-9; i += 1) step *= i % 3 === 1 ? 2.5 : 2;
  return step;
}
