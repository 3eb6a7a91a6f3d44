// The page on paper: every matrix, plane and curve in light colours, drawn for printing only.

const PAPER_WIDTH = 640;
const PAPER_CURVES = 260; // two pictures on a page
const MOST_ROWS_TOGETHER = 24; // of a table that is not torn apart
const MATCHES_WORDS = "Names without the parts that all of them share. ~ the next best, where the standard errors do not tell the two apart.";
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
  drawBar(bar, scale, BAR_LENGTH, extremesOf(matrix), theme, NaN, PAPER_RATIO);
  const limits = { height: 540, cell: 52 }; // a large one below the head of the page, two small ones on a page
  const layout = layoutHeatmap(canvas.getContext("2d"), slice, PAPER_WIDTH, limits, theme);
  drawHeatmap(penFor(canvas, layout.width, layout.height, PAPER_RATIO), slice, layout, scale, theme);
  const [above, below] = [make("p", "", "axis"), make("p", "", "axis")];
  above.append(...axisTitle("↑", "A", slice.a, layout.namesA.numbered));
  below.append(...axisTitle("→", "B", slice.b, layout.namesB.numbered));
  const words = `${matrix.caption} ${legend(slice, layout)}`.trim();
  const head = make("div", "", "above");
  head.append(above, bar);
  return paperFigure(`${titleOf(matrix)}${stepsText(matrix)}`, words, head, canvas, below);
}

function stepsText(matrix) {
  const names = state.steps.map(stepText);
  if (matrix.depth === 1) return `, ${names[1]}`;
  return matrix.depth === 2 ? `, ${names[0]} of A, ${names[1]} of B` : "";
}

function paperMatches(matrix) {
  const table = make("table");
  const slice = sliceOf(matrix, state.steps);
  const head = make("tr");
  head.append(make("th", "Layer of A"), make("th", "Closest of B"), make("th", "Value", "number"));
  table.append(make("thead"), make("tbody"));
  table.tHead.append(head);
  table.tBodies[0].append(...matchRows(slice, "a"));
  const figure = paperFigure(`Closest layers: ${titleOf(matrix)}${stepsText(matrix)}`, MATCHES_WORDS, table);
  if (slice.rows > MOST_ROWS_TOGETHER) figure.className = "breakable";
  return figure;
}

function paperPlane(item, theme) {
  const plane = planeOf(item, state.whole);
  const canvas = make("canvas");
  const view = planeView(plane.forth, plane.back, plane.whole);
  const layout = layoutPlane(canvas.getContext("2d"), 480, view, theme);
  drawPlane(penFor(canvas, layout.width, layout.height, PAPER_RATIO), plane, layout, theme, depthColours);
  const words = `One point is one pair of layers. ${planeWords(plane, view)}`;
  return paperFigure(`Plane: ${titleOf(item)}${stepsText(plane.forth.matrix)}`, words, canvas);
}

function paperCurves(item, theme) {
  const curves = curvesOf(item);
  const canvas = make("canvas");
  const layout = layoutCurves(canvas.getContext("2d"), curves, PAPER_WIDTH, theme, PAPER_CURVES);
  const pen = penFor(canvas, layout.width, layout.height, PAPER_RATIO);
  drawCurves(pen, curves, layout, theme, depthColours, Math.min(state.layer, curves.layers.length - 1));
  return paperFigure(titleOf({ label: curves.label }), curvesWords(curves, layout), canvas);
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
    folded = [...document.querySelectorAll("details:not([open]):not(.screen *)")];
    folded.forEach((details) => (details.open = true));
  });
  window.addEventListener("afterprint", () => {
    find("paper").replaceChildren();
    folded.forEach((details) => (details.open = false));
  });
}
