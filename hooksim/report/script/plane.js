// The imbalance plane: A to B against B to A, one point for each pair of layers.

const MARGIN = 0.09; // corner labels stand outside 0 to 1, where no point can hide them
const MOST_ERROR_BARS = 200;
const TICKS = 6;
const MOST_LARGE_RINGS = 12;

// A square piece of the plane: where the points are, or all of it.
function planeView(forth, back, whole) {
  const xs = [];
  const ys = [];
  forth.values.forEach((x, k) => {
    const y = back.values[k];
    if (Number.isNaN(x + y)) return;
    const [ex, ey] = whole ? [0, 0] : [forth.errors[k] || 0, back.errors[k] || 0];
    xs.push(x - ex, x + ex);
    ys.push(y - ey, y + ey);
  });
  const span = (some) => some.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const [lowX, highX] = span(xs);
  const [lowY, highY] = span(ys);
  if (!whole && xs.length) {
    const side = 1.12 * Math.max(highX - lowX, highY - lowY, 0.01);
    return { left: (lowX + highX - side) / 2, low: (lowY + highY - side) / 2, side };
  }
  const top = Math.max(1, xs.length ? Math.max(highX, highY) : 1);
  return { left: -MARGIN * top, low: -MARGIN * top, side: top * (1 + 2 * MARGIN) };
}

function layoutPlane(pen, width, view, theme) {
  pen.font = `11px ${theme.family}`;
  const ticks = niceTicks(view.low, view.low + view.side, TICKS).map(({ text }) => text);
  const [left, bottom, top] = [Math.ceil(widest(pen, ticks)) + 28, 44, 28];
  const size = Math.min(560, width - left - 10);
  return {
    left, top, size, width: left + size + 10, height: top + size + bottom, view,
    x: (value) => left + ((value - view.left) / view.side) * size,
    y: (value) => top + size - ((value - view.low) / view.side) * size,
  };
}

function drawPlane(pen, plane, layout, theme, table) {
  pen.clearRect(0, 0, layout.width, layout.height);
  drawPlaneFrame(pen, plane, layout, theme);
  const colour = depthScale(table, theme.surface);
  drawDepths(pen, plane.forth, layout, theme, colour);
  pen.save();
  pen.beginPath();
  pen.rect(layout.left, layout.top, layout.size, layout.size);
  pen.clip();
  if (plane.whole) drawCorners(pen, layout, theme);
  drawDiagonal(pen, layout, theme);
  drawFloor(pen, plane.floor, layout, theme);
  const { forth, back } = plane;
  if (forth.values.length <= MOST_ERROR_BARS) drawErrorBars(pen, forth, back, layout, theme);
  drawPoints(pen, forth, back, layout, theme, colour);
  drawRings(pen, forth, back, layout, theme);
  pen.restore();
}

function drawPlaneFrame(pen, plane, layout, theme) {
  const { left, top, size, view } = layout;
  pen.font = `11px ${theme.family}`;
  pen.lineWidth = 1;
  for (const { value, text } of niceTicks(view.left, view.left + view.side, TICKS)) {
    if (value < 0) continue;
    const x = layout.x(value);
    line(pen, [x, top], [x, top + size], theme.rule);
    write(pen, text, x, top + size + 6, theme.muted, "center", "top");
  }
  for (const { value, text } of niceTicks(view.low, view.low + view.side, TICKS)) {
    if (value < 0) continue;
    const y = layout.y(value);
    line(pen, [left, y], [left + size, y], theme.rule);
    write(pen, text, left - 6, y, theme.muted, "right", "middle");
  }
  pen.font = `12px ${theme.family}`;
  const [across, upwards] = [axisWords("A", "B", size, pen), axisWords("B", "A", size, pen)];
  write(pen, across, left + size / 2, top + size + 26, theme.ink, "center", "top");
  pen.save();
  pen.translate(4, top + size / 2);
  pen.rotate(-Math.PI / 2);
  write(pen, upwards, 0, 0, theme.ink, "center", "top");
  pen.restore();
}

// What an axis says, as much as has room.
function axisWords(from, to, size, pen) {
  const words = `${from} to ${to} (0: ${from} tells the neighbours in ${to}, 1: it tells none)`;
  return pen.measureText(words).width <= size ? words : `${from} to ${to}`;
}

function drawCorners(pen, layout, theme) {
  const { left, top, size } = layout;
  const inset = (size * MARGIN) / (2 * (1 + 2 * MARGIN));
  const [low, high] = [top + size - inset, top + inset];
  pen.font = `italic 12px ${theme.family}`;
  write(pen, "equivalent", left + 8, low, theme.muted, "left", "middle");
  write(pen, "B informs A", left + size - 8, low, theme.muted, "right", "middle");
  write(pen, "A informs B", left + 8, high, theme.muted, "left", "middle");
  write(pen, "independent", left + size - 8, high, theme.muted, "right", "middle");
}

function drawDiagonal(pen, layout, theme) {
  const { view } = layout;
  const [low, high] = [Math.max(view.left, view.low), Math.min(view.left, view.low) + view.side];
  pen.setLineDash([4, 3]);
  line(pen, [layout.x(low), layout.y(low)], [layout.x(high), layout.y(high)], theme.muted);
  pen.setLineDash([]);
}

// The least that there is, in either direction.
function drawFloor(pen, floor, layout, theme) {
  if (floor === null) return;
  const { left, top, size } = layout;
  pen.setLineDash([1.5, 3]);
  line(pen, [layout.x(floor), top], [layout.x(floor), top + size], theme.muted);
  line(pen, [left, layout.y(floor)], [left + size, layout.y(floor)], theme.muted);
  pen.setLineDash([]);
}

function drawErrorBars(pen, forth, back, layout, theme) {
  pen.lineWidth = 0.8;
  pen.globalAlpha = 0.8;
  forth.values.forEach((x, k) => {
    const [y, ex, ey] = [back.values[k], forth.errors[k], back.errors[k]];
    if (Number.isNaN(x + y)) return;
    const [px, py] = [layout.x(x), layout.y(y)];
    if (ex > 0) line(pen, [layout.x(x - ex), py], [layout.x(x + ex), py], theme.muted);
    if (ey > 0) line(pen, [px, layout.y(y - ey)], [px, layout.y(y + ey)], theme.muted);
  });
  pen.globalAlpha = 1;
}

// Which colour is which layer of A, above the plane.
function drawDepths(pen, forth, layout, theme, colour) {
  if (forth.rows < 2) return;
  pen.font = `11px ${theme.family}`;
  const ends = [forth.a.short[0], forth.a.short[forth.rows - 1]];
  const { texts, numbered } = fitNames(pen, ends, 0.22 * layout.size);
  const [first, last] = numbered ? ["0", String(forth.rows - 1)] : texts;
  let x = layout.left;
  const say = (text, ink) => {
    write(pen, text, x, 10, ink, "left", "middle");
    x += pen.measureText(text).width + 6;
  };
  say("layer of A", theme.ink);
  say(first, theme.muted);
  const [width, count] = [0.2 * layout.size, Math.min(forth.rows, 60)];
  for (let k = 0; k < count; k += 1) {
    pen.fillStyle = colour(k / (count - 1));
    pen.fillRect(x + (k / count) * width, 5, width / count + 0.5, 10);
  }
  x += width + 6;
  say(last, theme.muted);
}

function pointRadius(count) {
  return count <= 60 ? 5 : count <= 400 ? 3.6 : 2.4;
}

// Rows take turns, so that no layer of A lies on top of all others.
function drawPoints(pen, forth, back, layout, theme, colour) {
  const { rows, columns } = forth;
  const radius = pointRadius(rows * columns);
  pen.lineWidth = rows * columns <= 400 ? 0.7 : 0.35;
  pen.strokeStyle = theme.surface;
  for (let turn = 0; turn < rows * columns; turn += 1) {
    const [row, column] = [turn % rows, Math.floor(turn / rows)];
    const k = row * columns + column;
    const [x, y] = [forth.values[k], back.values[k]];
    if (Number.isNaN(x + y)) continue;
    pen.fillStyle = colour(row / Math.max(1, rows - 1));
    pen.beginPath();
    pen.arc(layout.x(x), layout.y(y), radius, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

// For each layer of A the layer of B that it predicts best.
function drawRings(pen, forth, back, layout, theme) {
  const few = forth.rows <= MOST_LARGE_RINGS;
  const radius = pointRadius(forth.values.length) + (few ? 3 : 1);
  pen.lineWidth = few ? 1.2 : 0.8;
  pen.globalAlpha = few ? 1 : 0.6;
  pen.strokeStyle = theme.ink;
  bestMatches(forth, "a").forEach((match, i) => {
    const y = match.best < 0 ? NaN : back.values[i * forth.columns + match.best];
    if (Number.isNaN(y)) return;
    pen.beginPath();
    pen.arc(layout.x(match.value), layout.y(y), radius, 0, 2 * Math.PI);
    pen.stroke();
  });
  pen.globalAlpha = 1;
}

// The pair of the heatmap's cursor.
function drawPlaneCursor(pen, plane, layout, theme, [i, j]) {
  pen.clearRect(0, 0, layout.width, layout.height);
  const k = i * plane.forth.columns + j;
  const [x, y] = [layout.x(plane.forth.values[k]), layout.y(plane.back.values[k])];
  if (Number.isNaN(x + y)) return;
  pen.save();
  pen.beginPath();
  pen.rect(layout.left, layout.top, layout.size, layout.size);
  pen.clip();
  pen.lineWidth = 1;
  pen.globalAlpha = 0.6;
  line(pen, [layout.left, y], [x - 10, y], theme.accent);
  line(pen, [x, y + 10], [x, layout.top + layout.size], theme.accent);
  pen.globalAlpha = 1;
  pen.lineWidth = 3;
  pen.strokeStyle = theme.accent;
  pen.beginPath();
  pen.arc(x, y, 9.5, 0, 2 * Math.PI);
  pen.stroke();
  pen.restore();
}

// The pair whose point is nearest, if one is near.
function pairAt(plane, layout, x, y) {
  const { forth, back } = plane;
  let best = -1;
  let least = 18 ** 2;
  forth.values.forEach((value, k) => {
    const distance = (layout.x(value) - x) ** 2 + (layout.y(back.values[k]) - y) ** 2;
    if (distance < least) [best, least] = [k, distance];
  });
  return best < 0 ? null : [Math.floor(best / forth.columns), best % forth.columns];
}

// The plane on the screen: of the chosen measure if it has two directions, else of the first.
const planar = { stage: null, layout: null, plane: null, theme: null };

function chosenPlane() {
  const { key } = state.matrix;
  return data.planes.find(({ forth, back }) => forth === key || back === key) ?? data.planes[0];
}

function planeOf({ label, forth, back, floor }, whole) {
  const [one, other] = [forth, back].map((key) => sliceOf(matrixOf(key), state.steps));
  return { label, forth: one, back: other, floor, whole };
}

function showPlane() {
  const plane = (planar.plane = planeOf(chosenPlane(), state.whole));
  const theme = (planar.theme = readTheme(planar.stage.box));
  const view = planeView(plane.forth, plane.back, plane.whole);
  const layout = (planar.layout = layoutPlane(planar.stage.measure, planar.stage.width, view, theme));
  drawPlane(planar.stage.open(layout), plane, layout, theme, depthColours);
  find("plane-label").textContent = titleOf({ label: plane.label });
  find("whole").setAttribute("aria-pressed", String(state.whole));
  find("plane-words").textContent = planeWords(plane, view);
}

// What the signs in the plane mean; pairs without a point are counted.
function planeWords({ forth, back, floor, whole }, view) {
  const words = whole ? [] : ["Shown is the part of the plane where the points are."];
  const { left, low, side } = view;
  if (Math.abs(left - low) < side) {
    words.push("Above the dashed line A tells more of B than B of A, below it the other way round.");
  } else {
    const [one, other] = left < low ? ["A", "B"] : ["B", "A"];
    words.push(`All of it is where ${one} tells more of ${other} than ${other} of ${one}.`);
  }
  if (floor !== null) {
    const least = `${formatNumber(floor, 4)}, the least there is, which equal spaces have: (k\u00a0+\u00a01)\u00a0/\u00a0n.`;
    const shown = [left, low].some((start) => start <= floor && floor <= start + side);
    words.push(shown ? `Dotted: ${least}` : `Beyond what is shown: ${least}`);
  }
  words.push("Ringed: for each layer of A the layer of B with the smallest imbalance from A to B.");
  const missing = forth.values.filter((x, k) => Number.isNaN(x + back.values[k])).length;
  if (missing) words.push(`${missing} of ${forth.values.length} pairs are undefined and left out.`);
  return words.join(" ");
}

function showPlaneCursor() {
  const { forth, back } = planar.plane;
  const same = forth.matrix.a === state.matrix.a && forth.matrix.b === state.matrix.b;
  if (same) drawPlaneCursor(planar.stage.overPen, planar.plane, planar.layout, planar.theme, state.cell);
  const k = state.cell[0] * forth.columns + state.cell[1];
  const names = namesAt(forth, state.cell);
  const worded = [forth, back].map((slice) => {
    const { value, error } = estimateOf(slice.matrix, slice.values[k], slice.errors[k]);
    return `${slice.matrix.direction} ${value} ${error}`.trim();
  });
  const pair = same ? `${names.a} × ${names.b}` : "";
  find("plane-pair").replaceChildren(...breakable(pair));
  find("plane-values").textContent = same ? worded.join(", ") : "";
  planar.stage.base.setAttribute("aria-label", `Imbalance plane. ${pair}`);
}

function wirePlane() {
  planar.stage = new Stage(find("plane"));
  planar.stage.onPoint((x, y) => {
    const cell = pairAt(planar.plane, planar.layout, x, y);
    if (cell && String(cell) !== String(state.cell)) update({ cell });
  });
  find("whole").addEventListener("click", () => update({ whole: !state.whole }));
}
