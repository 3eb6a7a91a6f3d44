// A value for each layer at every step, with a band of one standard error to either side.

const MOST_BANDS = 8; // with more layers only the chosen one has a band

// Rows are steps, columns are layers. The range is that of the data, errors included.
function curvesRange(curves) {
  let [low, high] = [Infinity, -Infinity];
  curves.values.forEach((value, k) => {
    if (Number.isNaN(value)) return;
    const error = curves.errors[k] || 0;
    [low, high] = [Math.min(low, value - error), Math.max(high, value + error)];
  });
  if (low > high) [low, high] = [0, 1];
  const room = Math.max(0.04 * (high - low), 0.005);
  return [low - room, high + room];
}

function layoutCurves(pen, curves, width, theme) {
  const [low, high] = curvesRange(curves);
  pen.font = `11px ${theme.family}`;
  const named = curves.short.map((name) => shorten(name, 18));
  const right = Math.min(0.3 * width, widest(pen, named) + 16);
  const [left, top, bottom] = [50, 10, 44];
  const [across, upwards] = [width - left - right, Math.min(380, Math.max(220, width * 0.5))];
  const last = Math.max(1, curves.steps.length - 1);
  return {
    left, top, right, low, high, named, gridWidth: across, gridHeight: upwards, width,
    height: top + upwards + bottom,
    x: (step) => left + 6 + (step / last) * (across - 12),
    y: (value) => top + upwards - ((value - low) / (high - low)) * upwards,
  };
}

function drawCurves(pen, curves, layout, theme, table, chosen) {
  pen.clearRect(0, 0, layout.width, layout.height);
  drawCurvesFrame(pen, curves, layout, theme);
  const count = curves.layers.length;
  const colour = (layer) => depthColour(table, layer / Math.max(1, count - 1), theme.dark);
  const order = Array.from({ length: count }, (_, layer) => layer).filter((layer) => layer !== chosen);
  for (const layer of [...order, chosen]) {
    const strong = layer === chosen;
    if (count <= MOST_BANDS || strong) {
      drawBand(pen, curves, layout, layer, colour(layer), strong ? 0.3 : 0.13);
    }
    drawCurve(pen, curves, layout, layer, colour(layer), strong ? 3 : 1.5);
  }
  drawEnds(pen, curves, layout, theme, chosen);
}

function drawCurvesFrame(pen, curves, layout, theme) {
  pen.font = `11px ${theme.family}`;
  pen.lineWidth = 1;
  const right = layout.left + layout.gridWidth;
  for (const { value, text } of niceTicks(layout.low, layout.high, 5)) {
    const y = layout.y(value);
    line(pen, [layout.left, y], [right, y], theme.rule);
    write(pen, text, layout.left - 6, y, theme.muted, "right", "middle");
  }
  const bottom = layout.top + layout.gridHeight;
  let free = -Infinity;
  curves.steps.forEach((step, i) => {
    const x = layout.x(i);
    const half = pen.measureText(step).width / 2 + 4;
    line(pen, [x, bottom], [x, bottom + 4], theme.muted);
    if (x - half < free) return;
    free = x + half;
    write(pen, step, x, bottom + 7, theme.muted, "center", "top");
  });
  pen.font = `12px ${theme.family}`;
  const middle = layout.left + layout.gridWidth / 2;
  write(pen, `${curves.stepName} (evenly spaced)`, middle, bottom + 26, theme.ink, "center", "top");
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
  for (const run of definedRuns(curves, layer)) {
    pen.beginPath();
    run.forEach(({ step, value }) => pen.lineTo(layout.x(step), layout.y(value)));
    pen.stroke();
    if (run.length > 1 && width < 2) continue;
    run.forEach(({ step, value }) => {
      pen.beginPath();
      pen.arc(layout.x(step), layout.y(value), 3.2, 0, 2 * Math.PI);
      pen.fill();
    });
  }
}

// Names at the right end where they do not touch, the chosen one first.
function drawEnds(pen, curves, layout, theme, chosen) {
  const last = curves.steps.length - 1;
  const count = curves.layers.length;
  const x = layout.left + layout.gridWidth + 4;
  const taken = [];
  const layers = Array.from({ length: count }, (_, layer) => layer).filter((layer) => layer !== chosen);
  for (const layer of [chosen, ...layers]) {
    const value = curves.values[last * count + layer];
    if (Number.isNaN(value)) continue;
    const y = layout.y(value);
    if (taken.some((other) => Math.abs(other - y) < 13)) continue;
    taken.push(y);
    pen.font = `${layer === chosen ? "600 " : ""}11px ${theme.family}`;
    const colour = layer === chosen ? theme.ink : theme.muted;
    write(pen, shorten(layout.named[layer], 18), x, y, colour, "left", "middle");
  }
}

// The step that is looked at.
function drawCurvesCursor(pen, curves, layout, theme, step) {
  pen.clearRect(0, 0, layout.width, layout.height);
  pen.lineWidth = 1.5;
  pen.setLineDash([3, 3]);
  const x = layout.x(step);
  line(pen, [x, layout.top], [x, layout.top + layout.gridHeight], theme.accent);
  pen.setLineDash([]);
}

// Layer and step whose value is nearest to a place.
function curveAt(curves, layout, x, y) {
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

// The curves on the screen: those of the chosen matrix, else the first.
const curved = { stage: null, layout: null, curves: null, theme: null, from: 0, against: null };

function curvesOf(item) {
  const matrix = matrixOf(item.key);
  const named = { steps: data.steps, stepName: data.stepName };
  if (matrix.depth < 2) return { ...item, ...numbersOf(item), ...named, against: "the reference" };
  const against = `${data.stepName} ${data.steps[state.steps[0]]}`;
  return { ...item, ...sameNamed(matrix, state.steps[0]), ...named, against };
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

// Whether another step of A was chosen since the curves were drawn.
function curvesMoved() {
  return matrixOf(curved.curves.key).depth === 2 && curved.from !== state.steps[0];
}

function showCurves() {
  const item = data.curves.find(({ key }) => key === state.matrix.key) ?? data.curves[0];
  const curves = (curved.curves = curvesOf(item));
  state.layer = Math.min(state.layer, curves.layers.length - 1);
  const theme = (curved.theme = readTheme(curved.stage.box));
  const layout = layoutCurves(curved.stage.measure, curves, curved.stage.width, theme);
  curved.layout = layout;
  drawCurves(curved.stage.open(layout), curves, layout, theme, depthColours, state.layer);
  curved.from = state.steps[0];
  curved.against.textContent = `Each layer of ${curves.against} with the layer of the same name. `;
  find("curves-label").textContent = curves.label;
  const select = find("curves-layer");
  if (select.dataset.key !== curves.key) {
    select.dataset.key = curves.key;
    select.replaceChildren(...curves.layers.map((layer) => make("option", layer)));
  }
  select.selectedIndex = state.layer;
}

function showCurvesCursor() {
  const { curves } = curved;
  const step = state.steps[1];
  drawCurvesCursor(curved.stage.overPen, curves, curved.layout, curved.theme, step);
  const k = step * curves.layers.length + state.layer;
  const { value, error } = formatEstimate(curves.values[k], curves.errors[k]);
  const shown = `${curves.layers[state.layer]}, ${curves.stepName} ${curves.steps[step]}: ${value} ${error}`;
  find("curves-readout").textContent = shown.trim();
  curved.stage.base.setAttribute("aria-label", `${curves.label}. ${shown.trim()}`);
}

function wireCurves() {
  curved.stage = new Stage(find("curves"));
  curved.against = make("span");
  find("trajectory").querySelector(".quiet").prepend(curved.against);
  curved.stage.onPoint((x, y) => {
    const found = curveAt(curved.curves, curved.layout, x, y);
    if (!found || (found.layer === state.layer && found.step === state.steps[1])) return;
    update({ layer: found.layer, steps: [state.steps[0], found.step] });
  });
  find("curves-layer").addEventListener("change", (event) => update({ layer: event.target.selectedIndex }));
}
