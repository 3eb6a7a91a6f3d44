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

// Writes a name on a coloured ground at a place, turned there, `align` of its width left of it.
// Others, which stand to the right and below by so much, are wiped out where it would cut them.
function highlightName(pen, theme, font, text, { x, y, turn, align }, others) {
  pen.save();
  pen.translate(x, y);
  pen.rotate((-turn * Math.PI) / 180);
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.font = `600 ${font}px ${theme.family}`;
  const width = pen.measureText(text).width;
  const start = -align * width;
  pen.font = `${font}px ${theme.family}`;
  pen.fillStyle = theme.surface;
  const [cos, sin] = [Math.cos, Math.sin].map((of) => of((turn * Math.PI) / 180));
  for (const other of others) {
    const size = pen.measureText(other.text).width;
    const [along, beside] = [other.right * cos - other.down * sin, other.right * sin + other.down * cos];
    const left = along - align * size;
    if (Math.abs(beside) >= font + 3 || left >= start + width + 4 || left + size <= start - 4) continue;
    pen.fillRect(left - 1, beside - 0.7 * font, size + 2, 1.4 * font);
  }
  pen.font = `600 ${font}px ${theme.family}`;
  pen.fillStyle = theme.accent;
  pen.beginPath();
  pen.roundRect(start - 4, -font / 2 - 3, width + 8, font + 6, 3);
  pen.fill();
  pen.fillStyle = theme.surface;
  pen.fillText(text, start, 0.5);
  pen.restore();
}
