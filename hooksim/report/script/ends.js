// Which curve is which layer: names at the right ends, or a bar of colours where they are too many.

const NAME_HEIGHT = 13;
const LEADER = 22; // from the end of a curve to its name
const BAR_WIDTH = 10;

// Spreads sorted places so that they lie apart, each as near to its own as that permits: places
// that would touch become a group around the middle of what they want.
function spread(places, apart, low, high) {
  const groups = [];
  const start = ({ sum, count }) => {
    const middle = sum / count - ((count - 1) * apart) / 2;
    return Math.max(low, Math.min(high - (count - 1) * apart, middle));
  };
  for (const place of places) {
    let group = { sum: place, count: 1 };
    while (groups.length) {
      const before = groups[groups.length - 1];
      if (start(before) + before.count * apart <= start(group)) break;
      groups.pop();
      group = { sum: before.sum + group.sum, count: before.count + group.count };
    }
    groups.push(group);
  }
  return groups.flatMap((group) => Array.from({ length: group.count }, (_, i) => start(group) + i * apart));
}

// The last defined point of each curve; layers that have none are left out.
function lastPoints(curves) {
  return curves.layers.flatMap((_, layer) => {
    const points = definedRuns(curves, layer).flat();
    return points.length ? [{ layer, ...points[points.length - 1] }] : [];
  });
}

// Room for the names, and where each one stands.
function placeNames(layout, points) {
  const sorted = points
    .map((point) => ({ ...point, from: layout.y(point.value) }))
    .sort((one, other) => one.from - other.from);
  const [low, high] = [layout.top, layout.top + layout.gridHeight];
  const places = spread(sorted.map(({ from }) => from), NAME_HEIGHT, low, high);
  return sorted.map((point, i) => ({ ...point, y: places[i] }));
}

function drawNamesAtEnds(pen, curves, layout, theme, colour, chosen) {
  const x = layout.left + layout.gridWidth;
  for (const { layer, step, from, y } of layout.ends) {
    const strong = layer === chosen;
    pen.lineWidth = strong ? 1.5 : 1;
    pen.setLineDash([1, 2]); // no part of the curve
    pen.strokeStyle = colour(layer);
    pen.beginPath();
    pen.moveTo(layout.x(step) + 5, from);
    if (step < curves.steps.length - 1) pen.lineTo(x, from);
    pen.lineTo(x + LEADER - 3, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.font = `${strong ? "600 " : ""}11px ${theme.family}`;
    write(pen, layout.named.texts[layer], x + LEADER, y, strong ? theme.ink : theme.muted, "left", "middle");
  }
}

// Where a layer stands on the bar: the first at the bottom, as on the axes of the heatmap.
function barPlace(layout, count, layer) {
  return layout.top + layout.gridHeight * (1 - (layer + 0.5) / count);
}

function drawLayerBar(pen, curves, layout, theme, colour, chosen) {
  const count = curves.layers.length;
  const x = layout.left + layout.gridWidth + LEADER;
  const height = layout.gridHeight / count;
  for (let layer = 0; layer < count; layer += 1) {
    pen.fillStyle = colour(layer);
    pen.fillRect(x, barPlace(layout, count, layer) - height / 2, BAR_WIDTH, height + 0.5);
  }
  const every = roundStep(NAME_HEIGHT / height);
  const own = barPlace(layout, count, chosen);
  const right = x + BAR_WIDTH + 5;
  pen.font = `11px ${theme.family}`;
  for (let layer = 0; layer < count; layer += every) {
    const y = barPlace(layout, count, layer);
    if (Math.abs(y - own) < NAME_HEIGHT) continue;
    write(pen, layout.named.texts[layer], right, y, theme.muted, "left", "middle");
  }
  pen.font = `600 11px ${theme.family}`;
  line(pen, [x - 4, own], [x + BAR_WIDTH + 3, own], theme.ink);
  write(pen, layout.named.texts[chosen], right, own, theme.ink, "left", "middle");
}

// The layer whose name is pointed at, right of the curves; -1 if none.
function nameAt(curves, layout, x, y) {
  if (x < layout.left + layout.gridWidth + LEADER / 2) return -1;
  const ends = layout.ends ?? curves.layers.map((_, layer) => ({
    layer, y: barPlace(layout, curves.layers.length, layer),
  }));
  const far = ends.reduce((best, end) => (Math.abs(end.y - y) < Math.abs(best.y - y) ? end : best), { layer: -1, y: Infinity });
  return far.layer;
}
