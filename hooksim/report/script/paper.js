// The page on paper: every matrix, plane and curve in light colours, drawn for printing only.

const PAPER_WIDTH = 640;
const PAPER_RATIO = 3; // printers have finer dots than screens

function paperFigure(title, words, ...canvases) {
  const figure = make("figure");
  figure.append(make("h3", title), ...canvases);
  if (words) figure.append(make("figcaption", words));
  return figure;
}

function paperHeatmap(matrix, theme) {
  const slice = sliceOf(matrix, state.steps);
  const scale = new Scale(matrix, colours);
  const [bar, canvas] = [make("canvas"), make("canvas")];
  drawBar(bar, scale, 320, extremesOf(matrix), theme, NaN, PAPER_RATIO);
  const limits = { height: 640, cell: 80 };
  const layout = layoutHeatmap(canvas.getContext("2d"), slice, PAPER_WIDTH, limits, theme);
  drawHeatmap(penFor(canvas, layout.width, layout.height, PAPER_RATIO), slice, layout, scale, theme);
  const [above, below] = [make("p", "", "axis"), make("p", "", "axis")];
  above.append(...axisTitle("↑", "A", slice.a, layout.namesA.numbered));
  below.append(...axisTitle("→", "B", slice.b, layout.namesB.numbered));
  const words = `${matrix.caption} ${legend(slice, layout)}`.trim();
  return paperFigure(`${titleOf(matrix)}${stepsText(matrix)}`, words, bar, above, canvas, below);
}

function stepsText(matrix) {
  const names = state.steps.map((step) => data.steps[step]);
  if (matrix.depth === 1) return `, ${data.stepName} ${names[1]}`;
  return matrix.depth === 2 ? `, ${data.stepName} ${names[0]} of A, ${names[1]} of B` : "";
}

function paperMatches(matrix) {
  const table = make("table");
  const head = make("tr");
  head.append(make("th", "Layer of A"), make("th", "Closest of B"), make("th", "Value", "number"));
  table.append(make("thead"), make("tbody"));
  table.tHead.append(head);
  table.tBodies[0].append(...matchRows(sliceOf(matrix, state.steps), "a"));
  const figure = paperFigure(`Best matches: ${titleOf(matrix)}${stepsText(matrix)}`, "", table);
  figure.className = "breakable";
  return figure;
}

function paperPlane(item, theme) {
  const plane = planeOf(item, false);
  const canvas = make("canvas");
  const layout = layoutPlane(520, planeView(plane.forth, plane.back, false));
  drawPlane(penFor(canvas, layout.width, layout.height, PAPER_RATIO), plane, layout, theme, depthColours);
  const words = "One point is one pair of layers. Ringed: for each layer of A the layer of B with the smallest imbalance from A to B. Dark to bright: first to last layer of A.";
  return paperFigure(`Plane: ${item.label}${stepsText(plane.forth.matrix)}`, words, canvas);
}

function paperCurves(item, theme) {
  const curves = curvesOf(item);
  const canvas = make("canvas");
  const layout = layoutCurves(canvas.getContext("2d"), curves, PAPER_WIDTH, theme);
  const pen = penFor(canvas, layout.width, layout.height, PAPER_RATIO);
  drawCurves(pen, curves, layout, theme, depthColours, Math.min(state.layer, curves.layers.length - 1));
  return paperFigure(curves.label, "Bands are one standard error to either side.", canvas);
}

function layPaper() {
  const paper = find("paper");
  const theme = readTheme(paper);
  paper.replaceChildren(
    ...data.matrices.map((matrix) => paperHeatmap(matrix, theme)),
    ...data.planes.map((item) => paperPlane(item, theme)),
    ...data.curves.map((item) => paperCurves(item, theme)),
    ...data.matrices.map((matrix) => paperMatches(matrix)),
  );
}

// What is folded on the screen is unfolded on paper.
function wirePaper() {
  let folded = [];
  window.addEventListener("beforeprint", () => {
    layPaper();
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => (details.open = true));
  });
  window.addEventListener("afterprint", () => {
    find("paper").replaceChildren();
    folded.forEach((details) => (details.open = false));
  });
}
