// Puts the parts together: which of them a change concerns, and when all is drawn anew.

function concerns(changes, ...names) {
  return changes.some((name) => names.includes(name));
}

function show(slice, changes) {
  if (concerns(changes, "matrix", "all")) {
    showSwitches();
  }
  if (concerns(changes, "matrix", "steps", "all")) {
    showSliders();
    showHeatmap(slice);
    showNumbers(slice);
  }
  if (concerns(changes, "matrix", "steps", "side", "all")) showMatches(slice);
  showCursor(slice);
  showReadout(slice);
  markMatch();
  if (data.planes.length) {
    if (concerns(changes, "matrix", "steps", "whole", "all")) showPlane();
    showPlaneCursor();
  }
  if (data.curves.length) {
    if (concerns(changes, "matrix", "layer", "all") || curvesMoved()) showCurves();
    showCurvesCursor();
  }
}

// Everything is drawn anew when its width, the screen's pixels or the colour scheme change.
function wireRedraw() {
  let planned = false;
  const redraw = () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      update({ all: true });
    });
  };
  let width = find("explorer").clientWidth;
  new ResizeObserver(() => {
    if (find("explorer").clientWidth === width) return;
    width = find("explorer").clientWidth;
    redraw();
  }).observe(find("explorer"));
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

function start() {
  find("explorer").hidden = false;
  find("planes").hidden = !data.planes.length;
  find("trajectory").hidden = !data.curves.length;
  wireSliders();
  wireHeatmap();
  wireDownloads();
  if (data.planes.length) wirePlane();
  if (data.curves.length) wireCurves();
  wirePaper();
  listeners.push(show);
  const slice = sliceOf(state.matrix, state.steps);
  update({ all: true, cell: [0, Math.max(0, bestMatches(slice, "a")[0]?.best ?? 0)] });
  wireRedraw();
}

const drawable = ({ a, b }) => data.axes[a].layers.length > 0 && data.axes[b].layers.length > 0;
if (data.matrices.length && data.matrices.every(drawable)) start();
