// A value for each layer at every step, with a band of one standard error to either side. Steps
// stand at equal distances, as on the slider and in the saved pictures.

const MOST_BANDS = 8; // with more layers only the chosen one has a band, and the others are thinner
const MOST_POINTS = 40; // with more steps a curve is a line alone
const LEAST_SPAN = 0.03; // of their range is shown at least: what is alike must not look lively
const WHOLE_FROM = 0.4; // values that take this share of their range are shown within all of it

// Rows are steps, columns are layers. Values and errors, or the whole range where they take much
// of it: the rule of the saved pictures.
function curvesRange(curves) {
  let [low, high] = [Infinity, -Infinity];
  curves.values.forEach((value, k) => {
    if (Number.isNaN(value)) return;
    const error = curves.errors[k] || 0;
    [low, high] = [Math.min(low, value - error), Math.max(high, value + error)];
  });
  const [least, most] = curves.range;
  if (low > high) [low, high] = [least, most];
  if (high - low >= WHOLE_FROM * (most - least)) [low, high] = [Math.min(low, least), Math.max(high, most)];
  [low, high] = widen(low, high, LEAST_SPAN * (most - least), least, most);
  const room = 0.04 * (high - low);
  return [low - room, high + room];
}

// Makes a span at least so long, around its middle but not beyond the ends of the range for that.
function widen(low, high, span, least, most) {
  const missing = span - (high - low);
  if (missing <= 0) return [low, high];
  const [down, up] = [Math.max(0, low - least), Math.max(0, most - high)];
  const below = Math.min(down, Math.max(missing / 2, missing - up));
  return [low - below, high + missing - below];
}

function layoutCurves(pen, curves, width, theme, tallest = 380) {
  const [low, high] = curvesRange(curves);
  pen.font = `600 11px ${theme.family}`;
  const named = fitNames(pen, curves.short, Math.min(0.3 * width, 150));
  const upwards = Math.min(tallest, Math.max(240, width * 0.5));
  const points = lastPoints(curves);
  const few = points.length * NAME_HEIGHT <= upwards;
  const right = widest(pen, named.texts) + LEADER + (few ? 6 : BAR_WIDTH + 10);
  const [left, top, bottom] = [50, 30, 44];
  const across = width - left - right;
  const last = curves.steps.length - 1;
  const layout = {
    left, top, right, low, high, named, gridWidth: across, gridHeight: upwards, width,
    height: top + upwards + bottom,
    x: (step) => left + 6 + (last ? step / last : 0.5) * (across - 12),
    y: (value) => top + upwards - ((value - low) / (high - low)) * upwards,
  };
  layout.ends = few ? placeNames(layout, points) : null;
  layout.steps = placeSteps(pen, curves, layout, theme);
  return layout;
}

// Which steps bear their names, at equal distances: as many as have room, the last one always. No
// name leaves the picture.
function placeSteps(pen, { steps }, layout, theme) {
  const bold = `600 11px ${theme.family}`; // as at the cursor
  pen.font = bold;
  const last = steps.length - 1;
  const spacing = last ? layout.x(1) - layout.x(0) : Infinity;
  const every = roundStep((widest(pen, steps) + 8) / spacing);
  const place = (step) => {
    pen.font = bold;
    const half = pen.measureText(steps[step]).width / 2 + 6;
    return { step, half, x: Math.max(half, Math.min(layout.width - half, layout.x(step))) };
  };
  const end = place(last);
  const places = steps.map((_, step) => step).filter((step) => step % every === 0 && step < last).map(place);
  return { place, shown: [...places.filter(({ x, half }) => x + half <= end.x - end.half), end] };
}

function drawCurves(pen, curves, layout, theme, table, chosen) {
  pen.clearRect(0, 0, layout.width, layout.height);
  drawCurvesFrame(pen, curves, layout, theme);
  const count = curves.layers.length;
  const scale = depthScale(table, theme.surface);
  const colour = (layer) => scale(layer / Math.max(1, count - 1));
  const order = Array.from({ length: count }, (_, layer) => layer).filter((layer) => layer !== chosen);
  for (const layer of [...order, chosen]) {
    const strong = layer === chosen;
    // A rim keeps the chosen curve apart from those that it crosses.
    if (strong) drawCurve(pen, curves, layout, layer, theme.surface, 7);
    if (count <= MOST_BANDS || strong) {
      drawBand(pen, curves, layout, layer, colour(layer), strong ? 0.3 : 0.13);
    }
    const thin = count <= MOST_BANDS ? 1.6 : 1.2;
    drawCurve(pen, curves, layout, layer, colour(layer), strong ? 3 : thin);
  }
  const drawNamed = layout.ends ? drawNamesAtEnds : drawLayerBar;
  drawNamed(pen, curves, layout, theme, colour, chosen);
}

function drawCurvesFrame(pen, curves, layout, theme) {
  pen.font = `11px ${theme.family}`;
  pen.lineWidth = 1;
  const right = layout.left + layout.gridWidth;
  for (const { value, text } of niceTicks(layout.low, layout.high, 6)) {
    const y = layout.y(value);
    line(pen, [layout.left, y], [right, y], theme.rule);
    write(pen, text, layout.left - 6, y, theme.muted, "right", "middle");
  }
  const bottom = layout.top + layout.gridHeight;
  for (const { step, x } of layout.steps.shown) {
    line(pen, [layout.x(step), bottom], [layout.x(step), bottom + 4], theme.muted);
    write(pen, curves.steps[step], x, bottom + 7, theme.muted, "center", "top");
  }
  pen.font = `12px ${theme.family}`;
  write(pen, valueWords(pen, curves, layout.width), 0, 4, theme.ink, "left", "top");
  const middle = layout.left + layout.gridWidth / 2;
  write(pen, `${curves.stepName} (evenly spaced)`, middle, bottom + 26, theme.ink, "center", "top");
  if (curves.from === null) return;
  pen.setLineDash([4, 3]);
  line(pen, [layout.x(curves.from), layout.top], [layout.x(curves.from), bottom], theme.muted);
  pen.setLineDash([]);
}

// What the values are, and which of them are the better ones if there is room for that.
function valueWords(pen, curves, room) {
  const title = titleOf({ label: curves.label });
  const words = `${title}: ${curves.larger ? "higher" : "lower"} is closer`;
  return pen.measureText(words).width <= room ? words : title;
}

// Runs of steps at which a layer's value is defined.
function definedRuns(curves, layer) {
  const runs = [];
  let run = null;
  curves.steps.forEach((_, step) => {
    const k = step * curves.layers.length + layer;
    if (Number.isNaN(curves.values[k])) {
      run = null;
      return;
    }
    if (!run) runs.push((run = []));
    run.push({ step, value: curves.values[k], error: curves.errors[k] || 0 });
  });
  return runs;
}

function drawBand(pen, curves, layout, layer, colour, strength) {
  pen.globalAlpha = strength;
  pen.fillStyle = colour;
  for (const run of definedRuns(curves, layer)) {
    pen.beginPath();
    run.forEach(({ step, value, error }) => pen.lineTo(layout.x(step), layout.y(value + error)));
    run.reverse().forEach(({ step, value, error }) => pen.lineTo(layout.x(step), layout.y(value - error)));
    pen.fill();
  }
  pen.globalAlpha = 1;
}

function drawCurve(pen, curves, layout, layer, colour, width) {
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = width;
  pen.lineJoin = "round";
  const dotted = width > 2 && curves.steps.length <= MOST_POINTS;
  for (const run of definedRuns(curves, layer)) {
    pen.beginPath();
    run.forEach(({ step, value }) => pen.lineTo(layout.x(step), layout.y(value)));
    pen.stroke();
    if (run.length > 1 && !dotted) continue;
    run.forEach(({ step, value }) => {
      pen.beginPath();
      pen.arc(layout.x(step), layout.y(value), 3.2, 0, 2 * Math.PI);
      pen.fill();
    });
  }
}

// The step that is looked at, which has its name even where names are left out.
function drawCurvesCursor(pen, curves, layout, theme, step) {
  pen.clearRect(0, 0, layout.width, layout.height);
  pen.lineWidth = 1.5;
  const x = layout.x(step);
  const bottom = layout.top + layout.gridHeight;
  line(pen, [x, layout.top], [x, bottom], theme.accent);
  const own = layout.steps.place(step).x;
  const others = layout.steps.shown
    .filter((other) => other.step !== step)
    .map((other) => ({ text: curves.steps[other.step], right: other.x - own, down: 0 }));
  const place = { x: own, y: bottom + 13, turn: 0, align: 0.5 };
  highlightName(pen, theme, 11, curves.steps[step], place, others);
}

// Layer and step whose value is nearest to a place, or whose name is.
function curveAt(curves, layout, x, y) {
  const named = nameAt(curves, layout, x, y);
  if (named >= 0) return { step: state.steps[1], layer: named };
  const last = Math.max(1, curves.steps.length - 1);
  const part = (x - layout.left - 6) / Math.max(1, layout.gridWidth - 12);
  const step = Math.min(curves.steps.length - 1, Math.max(0, Math.round(part * last)));
  let [best, least] = [-1, Infinity];
  curves.layers.forEach((_, layer) => {
    const distance = Math.abs(layout.y(curves.values[step * curves.layers.length + layer]) - y);
    if (distance < least) [best, least] = [layer, distance];
  });
  return best < 0 ? null : { step, layer: best };
}

// What is drawn for a measure. `from` is the step that all others are compared with.
function curvesOf(item) {
  const matrix = matrixOf(item.key);
  const named = {
    steps: data.steps.map((_, place) => stepNumber(place)), stepName: data.stepName,
    range: [matrix.low, matrix.high], larger: matrix.best === "max",
  };
  if (matrix.depth < 2) return { ...item, ...numbersOf(item), ...named, from: data.referenceStep };
  return { ...item, ...sameNamed(matrix, state.steps[0]), ...named, from: state.steps[0] };
}

// Of all pairs of steps: each layer of a step of A with the layer of the same name at every step.
function sameNamed(matrix, from) {
  const { layers, short } = data.axes[matrix.a];
  const places = layers.map((layer) => data.axes[matrix.b].layers.indexOf(layer));
  const [values, errors] = [[], []];
  data.steps.forEach((_, to) => {
    const slice = sliceOf(matrix, [from, to]);
    places.forEach((place, layer) => {
      const k = layer * slice.columns + place;
      values.push(place < 0 ? NaN : slice.values[k]);
      errors.push(place < 0 ? NaN : slice.errors[k]);
    });
  });
  return { layers, short, values, errors };
}

// What a curve is and what its signs mean; layers without a curve are counted.
function curvesWords(curves, layout) {
  const matrix = matrixOf(curves.key);
  const own = matrix.depth > 1 ? `A at ${stepText(curves.from)}` : `A (${data.axes[matrix.a].label})`;
  const words = [`Each layer of ${own} with the layer of the same name of B.`];
  words.push("Bands are one standard error to either side. Dark to bright: first to last layer.");
  if (curves.from !== null) words.push(`Dashed: ${stepText(curves.from)}, which all others are compared with.`);
  if (layout.named.numbered) words.push("Numbers are positions of layers, from 0.");
  const missing = curves.layers.length - lastPoints(curves).length;
  if (missing) words.push(`${missing} of ${curves.layers.length} layers have no curve: no step has an equally named one, or they are undefined.`);
  return words.join(" ");
}
