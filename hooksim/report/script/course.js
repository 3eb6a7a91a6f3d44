// The curves on the screen: those of the chosen matrix, else the first.

const curved = { stage: null, layout: null, curves: null, theme: null, from: 0 };

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
  find("curves-words").textContent = curvesWords(curves, layout);
  find("curves-label").textContent = `Over the ${data.stepName}s: ${titleOf({ label: curves.label })}`;
  showCurvesTable(curves);
  const select = find("curves-layer");
  if (select.dataset.key === curves.key) return;
  select.dataset.key = curves.key;
  select.replaceChildren(...curves.layers.map((layer) => make("option", layer)));
}

function showCurvesTable({ key, steps, stepName, layers, values, errors }) {
  showTable("curves-table", `${stepName} / layer`, steps, layers, (i, j) => {
    const k = i * layers.length + j;
    return estimateOf(matrixOf(key), values[k], errors[k]);
  });
}

function showCurvesCursor() {
  const { curves } = curved;
  const step = state.steps[1];
  find("curves-layer").selectedIndex = state.layer;
  drawCurvesCursor(curved.stage.overPen, curves, curved.layout, curved.theme, step);
  const k = step * curves.layers.length + state.layer;
  const { value, error } = estimateOf(matrixOf(curves.key), curves.values[k], curves.errors[k]);
  const shown = `${curves.layers[state.layer]}, ${stepText(step)}: ${value} ${error}`;
  find("curves-readout").replaceChildren(...breakable(shown.trim()));
  curved.stage.base.setAttribute("aria-label", `Curves of ${curves.label}. ${shown.trim()}`);
}

function wireCurves() {
  curved.stage = new Stage(find("curves"));
  curved.stage.onPoint((x, y) => {
    const found = curveAt(curved.curves, curved.layout, x, y);
    if (!found || (found.layer === state.layer && found.step === state.steps[1])) return;
    update({
      ...(found.layer === state.layer ? {} : { layer: found.layer }),
      ...(found.step === state.steps[1] ? {} : { steps: [state.steps[0], found.step] }),
    });
  });
  find("curves-layer").addEventListener("change", (event) => update({ layer: event.target.selectedIndex }));
  find("curves-table").addEventListener("toggle", () => showCurvesTable(curved.curves));
  const save = (ending, choose) => () => {
    const { file, layers, key } = curved.curves;
    const from = matrixOf(key).depth > 1 ? `.${safeName(data.steps[curved.from])}` : "";
    download(`${file}${from}${ending}`, csvTable(choose(curved.curves), data.steps, layers, `${data.stepName} / layer`));
  };
  find("save-curves").addEventListener("click", save(".csv", (curves) => curves.values));
  find("save-curve-errors").addEventListener("click", save(".stderr.csv", (curves) => curves.errors));
}
