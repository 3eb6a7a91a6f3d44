// Colours: those of the saved pictures. Brighter is closer; the range is fixed.

const ROUNDING = 1e-6; // values this near to the range are on its end
const ROOT_TICKS = [0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1];
const LINEAR_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1];
const BLACK_FROM = 0.175; // luminance from which black contrasts by 4.5 to 1
const BAR_LENGTH = 360; // room for the name of a measure below it
const LEAST_CONTRAST = 3; // of a line or a dot with the ground

function readColours(text) {
  return text.match(/.{6}/g).map((digits) => `#${digits}`);
}

function luminance(colour) {
  const linear = [1, 3, 5].map((place) => {
    const part = parseInt(colour.slice(place, place + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

// What a matrix's values look like. `share` runs from the low to the high end of the range, by the
// square root where small values are the better ones; `table` from the farthest to the closest.
class Scale {
  constructor(matrix, table) {
    this.low = matrix.low;
    this.high = matrix.high;
    this.larger = matrix.best === "max";
    this.title = titleOf(matrix);
    this.table = table;
    this.inks = table.map((colour) => (luminance(colour) < BLACK_FROM ? "#ffffff" : "#000000"));
  }

  share(value) {
    const part = Math.min(1, Math.max(0, (value - this.low) / (this.high - this.low)));
    return this.larger ? part : Math.sqrt(part);
  }

  index(value) {
    const last = this.table.length - 1;
    const step = Math.min(last, Math.floor(this.share(value) * this.table.length));
    return this.larger ? step : last - step;
  }

  // Where a value stands on the colour bar, whose better end is the right one.
  place(value) {
    return this.larger ? this.share(value) : 1 - this.share(value);
  }

  ticks() {
    const parts = this.larger ? LINEAR_TICKS : ROOT_TICKS;
    return parts.map((part) => this.low + part * (this.high - this.low));
  }
}

// Colours of layers by depth: of a table that goes from dark to bright, the part that contrasts with
// the ground by 3 to 1 or more. `share` runs from the first layer to the last.
function depthScale(table, ground) {
  const own = luminance(ground);
  const contrast = (colour) => {
    const [low, high] = [own, luminance(colour)].sort((one, other) => one - other);
    return (high + 0.05) / (low + 0.05);
  };
  const legible = table.filter((colour) => contrast(colour) >= LEAST_CONTRAST);
  return (share) => legible[Math.round(share * (legible.length - 1))];
}

// The horizontal colour bar with its ticks; `marked` is the value under the cursor.
function drawBar(canvas, scale, width, extremes, theme, marked = NaN, ratio = undefined) {
  const pen = penFor(canvas, width, 48, ratio);
  const [left, right] = [20, width - 16];
  const { table } = scale;
  const dot = 1 / pen.getTransform().a; // one device pixel: wider strips would show seams
  for (let x = left; x < right; x += dot) {
    const part = (x - left) / (right - left);
    pen.fillStyle = table[Math.min(table.length - 1, Math.floor(part * table.length))];
    pen.fillRect(x, 8, dot, 10);
  }
  pen.font = `11px ${theme.family}`;
  pen.textBaseline = "top";
  pen.textAlign = "center";
  pen.fillStyle = theme.muted;
  let taken = [];
  const ticks = scale.ticks();
  // The ends come first: they are always written.
  for (const value of [ticks[0], ticks[ticks.length - 1], ...ticks.slice(1, -1)]) {
    const text = tickText(value, scale, extremes);
    const at = left + scale.place(value) * (right - left);
    const half = pen.measureText(text).width / 2 + 3;
    pen.fillRect(at - 0.5, 18, 1, 3);
    if (taken.some(([low, high]) => at - half < high && low < at + half)) continue;
    taken.push([at - half, at + half]);
    pen.fillText(text, at, 22);
  }
  writeEnds(pen, scale, left, right, theme);
  if (Number.isNaN(marked)) return;
  const at = left + scale.place(marked) * (right - left);
  pen.fillStyle = theme.ink;
  pen.beginPath();
  pen.moveTo(at - 5, 0);
  pen.lineTo(at + 5, 0);
  pen.lineTo(at, 7.5);
  pen.fill();
}

// What the bar shows, and what its ends mean.
function writeEnds(pen, { title }, left, right, theme) {
  const [far, close] = ["farther", "closer"];
  write(pen, far, left, 36, theme.muted, "left", "top");
  write(pen, close, right, 36, theme.muted, "right", "top");
  const room = right - left - 2 * Math.max(pen.measureText(far).width, pen.measureText(close).width) - 16;
  if (pen.measureText(title).width > room) return;
  write(pen, title, (left + right) / 2, 36, theme.ink, "center", "top");
}

// The ends say so where values lie beyond them.
function tickText(value, scale, extremes) {
  const text = formatNumber(value, scale.larger ? 1 : 2);
  if (value === scale.high && extremes.high > scale.high + ROUNDING) return `≥ ${text}`;
  if (value === scale.low && extremes.low < scale.low - ROUNDING) return `≤ ${text}`;
  return text;
}
