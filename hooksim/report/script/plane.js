// The imbalance plane: A to B against B to A, one point for each pair of layers.

const MARGIN = 0.09; // corner labels stand outside 0 to 1, where no point can hide them
const MOST_ERROR_BARS = 200;

// Colours of layers by depth, without the end that the background would swallow.
function depthColour(table, share, dark) {
  const [from, to] = dark ? [0.4, 1] : [0, 0.8];
  return table[Math.round((from + share * (to - from)) * (table.length - 1))];
}

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
  const ticks = niceTicks(view.low, view.low + view.side, 5).map(({ text }) => text);
  const [left, bottom, top] = [Math.ceil(widest(pen, ticks)) + 28, 44, 8];
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
  pen.save();
  pen.beginPath();
  pen.rect(layout.left, layout.top, layout.size, layout.size);
  pen.clip();
  if (plane.whole) drawCorners(pen, layout, theme);
  drawDiagonal(pen, layout, theme);
  drawFloor(pen, plane.floor, layout, theme);
  const { forth, back } = plane;
  if (forth.values.length <= MOST_ERROR_BARS) drawErrorBars(pen, forth, back, layout, theme);
  drawPoints(pen, forth, back, layout, theme, table);
  drawRings(pen, forth, back, layout, theme);
  pen.restore();
}

function drawPlaneFrame(pen, plane, layout, theme) {
  const { left, top, size, view } = layout;
  pen.font = `11px ${theme.family}`;
  pen.lineWidth = 1;
  for (const { value, text } of niceTicks(view.left, view.left + view.side, 5)) {
    if (value < 0) continue;
    const x = layout.x(value);
    line(pen, [x, top], [x, top + size], theme.rule);
    write(pen, text, x, top + size + 6, theme.muted, "center", "top");
  }
  for (const { value, text } of niceTicks(view.low, view.low + view.side, 5)) {
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
  pen.globalAlpha = 0.6;
  forth.values.forEach((x, k) => {
    const [y, ex, ey] = [back.values[k], forth.errors[k], back.errors[k]];
    if (Number.isNaN(x + y)) return;
    const [px, py] = [layout.x(x), layout.y(y)];
    if (ex > 0) line(pen, [layout.x(x - ex), py], [layout.x(x + ex), py], theme.muted);
    if (ey > 0) line(pen, [px, layout.y(y - ey)], [px, layout.y(y + ey)], theme.muted);
  });
  pen.globalAlpha = 1;
}

function drawPoints(pen, forth, back, layout, theme, table) {
  const count = forth.values.length;
  const radius = count <= 60 ? 5 : count <= 400 ? 3.6 : 2.4;
  pen.lineWidth = 0.7;
  pen.strokeStyle = theme.surface;
  forth.values.forEach((x, k) => {
    const y = back.values[k];
    if (Number.isNaN(x + y)) return;
    const row = Math.floor(k / forth.columns);
    pen.fillStyle = depthColour(table, row / Math.max(1, forth.rows - 1), theme.dark);
    pen.beginPath();
    pen.arc(layout.x(x), layout.y(y), radius, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  });
}

// For each layer of A the layer of B that it predicts best.
function drawRings(pen, forth, back, layout, theme) {
  const radius = forth.rows <= 12 ? 8 : 4.5;
  pen.lineWidth = forth.rows <= 12 ? 1.2 : 0.8;
  pen.strokeStyle = theme.ink;
  bestMatches(forth, "a").forEach((match, i) => {
    const y = match.best < 0 ? NaN : back.values[i * forth.columns + match.best];
    if (Number.isNaN(y)) return;
    pen.beginPath();
    pen.arc(layout.x(match.value), layout.y(y), radius, 0, 2 * Math.PI);
    pen.stroke();
  });
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
  find("plane-words").textContent = planeWords(plane);
}

// What the signs in the plane mean; pairs without a point are counted.
function planeWords({ forth, back, floor, whole }) {
  const words = whole ? [] : ["Shown is the part of the plane where the points are."];
  words.push("Above the dashed line A tells more of B than B of A, below it the other way round.");
  if (floor !== null) {
    words.push(`Dotted: ${formatNumber(floor, 4)}, the least there is, which equal spaces have: (k + 1) / n.`);
  }
  words.push("Ringed: for each layer of A the layer of B with the smallest imbalance from A to B.");
  words.push("Dark to bright: first to last layer of A.");
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
    const { value, error } = formatEstimate(slice.values[k], slice.errors[k]);
    return `${slice.matrix.direction} ${value} ${error}`.trim();
  });
  find("plane-pair").textContent = same ? `${names.a} × ${names.b}` : "";
  find("plane-values").textContent = same ? worded.join(", ") : "";
  planar.stage.base.setAttribute("aria-label", `Imbalance plane. ${same ? find("plane-pair").textContent : ""}`);
}

function wirePlane() {
  planar.stage = new Stage(find("plane"));
  planar.stage.onPoint((x, y) => {
    const cell = pairAt(planar.plane, planar.layout, x, y);
    if (cell && String(cell) !== String(state.cell)) update({ cell });
  });
  find("whole").addEventListener("click", () => update({ whole: !state.whole }));
}
