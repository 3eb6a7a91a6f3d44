// The heatmap: layers of A upwards, layers of B to the right, layer 0 in the lower left corner.

const SMALL_CELL = 16; // smaller ones are marked with a dot, larger ones and those with text with a frame
const SMALLEST_GRID = 240;

// How large everything is. `limits`: the tallest grid and the largest cell.
function layoutHeatmap(pen, slice, width, limits, theme) {
  const { rows, columns } = slice;
  const roomA = Math.min(190, width * 0.27);
  pen.font = `12px ${theme.family}`;
  const namesA = fitNames(pen, slice.a.short, roomA);
  pen.font = `600 12px ${theme.family}`; // the name at the cursor is bold
  const left = Math.max(28, Math.ceil(widest(pen, namesA.texts)) + 14);
  const across = Math.max(SMALLEST_GRID, columns * limits.cell);
  const widestCell = Math.min(across, width - left - 2) / columns;
  const upwards = Math.max(SMALLEST_GRID, rows * Math.min(limits.cell, widestCell));
  const cellHeight = Math.min(upwards, limits.height) / rows;
  // Cells are about square, unless there are too few columns for that.
  const cellWidth = Math.min(widestCell, Math.max(1.2 * cellHeight, SMALLEST_GRID / columns));
  const fontA = chooseFont(cellHeight);
  const { namesB, fontB, longest, turn } = layoutNamesB(pen, slice, left, cellWidth, theme);
  const bottom = 10 + { 0: fontB.font, 45: longest * 0.71 + fontB.font, 90: longest }[turn];
  const text = chooseText(pen, slice, cellWidth, cellHeight, theme);
  return {
    left, top: 6, cellWidth, cellHeight, namesA, namesB, fontA, fontB, turn, text,
    dotted: !text && Math.min(cellWidth, cellHeight) < SMALL_CELL,
    gridWidth: cellWidth * columns, gridHeight: cellHeight * rows,
    width: left + cellWidth * columns + 2, height: 6 + cellHeight * rows + bottom + 4,
  };
}

// Names under the columns: level where they fit, else slanted or upright.
function layoutNamesB(pen, slice, left, cellWidth, theme) {
  const fontB = chooseFont(cellWidth);
  pen.font = `${fontB.font}px ${theme.family}`;
  const namesB = fitNames(pen, slice.b.short, 130);
  const longest = widest(pen, namesB.texts);
  const level = roundStep((longest + 6) / cellWidth);
  if (level === 1 || longest < 24) {
    return { namesB, fontB: { font: fontB.font, step: level }, longest, turn: 0 };
  }
  // A slanted name of the first column must not leave the picture.
  const slanted = cellWidth * fontB.step > 22 && longest * 0.71 <= left + cellWidth / 2;
  return { namesB, fontB, longest, turn: slanted ? 45 : 90 };
}

// The box of a cell; row 0 is the lowest.
function cellBox(layout, rows, i, j) {
  return {
    x: layout.left + j * layout.cellWidth,
    y: layout.top + (rows - 1 - i) * layout.cellHeight,
    width: layout.cellWidth,
    height: layout.cellHeight,
  };
}

function drawHeatmap(pen, slice, layout, scale, theme) {
  drawGround(pen, layout, theme);
  drawCells(pen, slice, layout, scale);
  drawNames(pen, slice, layout, theme);
  drawMarks(pen, slice, layout, scale);
  drawTexts(pen, slice, layout, scale, theme);
}

// Hatching, which shows through where a value is undefined.
function drawGround(pen, layout, theme) {
  const { left, top, gridWidth, gridHeight } = layout;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, gridWidth, gridHeight);
  pen.clip();
  pen.fillStyle = theme.hatchGround;
  pen.fillRect(left, top, gridWidth, gridHeight);
  pen.strokeStyle = theme.hatch;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let at = -gridHeight; at < gridWidth; at += 6) {
    pen.moveTo(left + at, top + gridHeight);
    pen.lineTo(left + at + gridHeight, top);
  }
  pen.stroke();
  pen.restore();
}

// Cells end on whole device pixels, so that no seams show between them.
function drawCells(pen, slice, layout, scale) {
  const { rows, columns, values } = slice;
  const ratio = pen.getTransform().a;
  const snap = (place) => Math.round(place * ratio) / ratio;
  const xs = Array.from({ length: columns + 1 }, (_, j) => snap(layout.left + j * layout.cellWidth));
  const ys = Array.from({ length: rows + 1 }, (_, i) => snap(layout.top + i * layout.cellHeight));
  for (let i = 0; i < rows; i += 1) {
    const y = ys[rows - 1 - i];
    const height = ys[rows - i] - y;
    for (let j = 0; j < columns; j += 1) {
      const value = values[i * columns + j];
      if (Number.isNaN(value)) continue;
      pen.fillStyle = scale.table[scale.index(value)];
      pen.fillRect(xs[j], y, xs[j + 1] - xs[j], height);
    }
  }
}

function drawNames(pen, slice, layout, theme) {
  pen.fillStyle = theme.ink;
  pen.font = `${layout.fontA.font}px ${theme.family}`;
  for (let i = 0; i < slice.rows; i += layout.fontA.step) writeNameA(pen, slice, layout, i);
  pen.font = `${layout.fontB.font}px ${theme.family}`;
  for (let j = 0; j < slice.columns; j += layout.fontB.step) writeNameB(pen, slice, layout, j);
}

function writeNameA(pen, slice, layout, i) {
  const box = cellBox(layout, slice.rows, i, 0);
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.fillText(layout.namesA.texts[i], layout.left - 7, box.y + box.height / 2);
}

function writeNameB(pen, slice, layout, j) {
  const box = cellBox(layout, slice.rows, 0, j);
  pen.save();
  pen.translate(box.x + box.width / 2, box.y + box.height + 7);
  pen.rotate((-layout.turn * Math.PI) / 180);
  pen.textAlign = layout.turn ? "right" : "center";
  pen.textBaseline = layout.turn ? "middle" : "top";
  pen.fillText(layout.namesB.texts[j], 0, 0);
  pen.restore();
}

// The closest layer of B for each layer of A, lightly where the next one is as good.
function drawMarks(pen, slice, layout, scale) {
  if (slice.columns < 2) return;
  bestMatches(slice, "a").forEach((match, i) => {
    if (match.best < 0) return;
    const box = cellBox(layout, slice.rows, i, match.best);
    const ink = scale.inks[scale.index(match.value)];
    if (layout.dotted) drawDot(pen, box, ink, match.decided);
    else drawFrame(pen, box, ink, match.decided);
  });
}

function drawDot(pen, box, ink, decided) {
  const size = Math.min(box.width, box.height);
  pen.beginPath();
  pen.arc(box.x + box.width / 2, box.y + box.height / 2, Math.max(0.9, 0.2 * size), 0, 2 * Math.PI);
  pen.fillStyle = ink;
  pen.strokeStyle = ink;
  pen.lineWidth = Math.max(0.5, 0.08 * size);
  if (decided) pen.fill();
  else pen.stroke();
}

function drawFrame(pen, box, ink, decided) {
  const size = Math.min(box.width, box.height);
  const inset = size < SMALL_CELL ? 1 : Math.max(2, 0.06 * size);
  pen.save();
  pen.strokeStyle = ink;
  pen.lineWidth = decided ? 1.5 : 1;
  if (!decided) pen.setLineDash([4, 3]);
  pen.strokeRect(box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset);
  pen.restore();
}

// Values where they fit, standard errors under them where cells are large.
function drawTexts(pen, slice, layout, scale, theme) {
  const { rows, columns, values, errors } = slice;
  if (!layout.text) return;
  const { decimals, font, withErrors } = layout.text;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let k = 0; k < rows * columns; k += 1) {
    if (Number.isNaN(values[k])) continue;
    const box = cellBox(layout, rows, Math.floor(k / columns), k % columns);
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const below = withErrors && !Number.isNaN(errors[k]);
    pen.fillStyle = scale.inks[scale.index(values[k])];
    pen.font = `${font}px ${theme.family}`;
    pen.fillText(formatNumber(values[k], decimals), x, below ? y - 7 : y);
    if (!below) continue;
    pen.font = `${font * 0.8}px ${theme.family}`;
    pen.fillText(`±${errorText(errors[k], decimals)}`, x, y + 8);
  }
}

// The decimals that the readout has where there is room, else fewer, and then no standard errors.
function chooseText(pen, slice, width, height, theme) {
  if (width < 18 || height < 9) return null;
  const all = decimalsOf(slice.matrix);
  pen.font = `10px ${theme.family}`;
  for (let decimals = all; decimals >= 2; decimals -= 1) {
    const texts = Array.from(slice.values, (v) => (Number.isNaN(v) ? "" : formatNumber(v, decimals)));
    const size = Math.max(1, widest(pen, texts)) / 10;
    const font = Math.min(13, (0.78 * width) / size, (0.84 * height) / LINE);
    if (font < (decimals > 2 ? 9 : 8)) continue;
    return { decimals, font, rounded: decimals < all, withErrors: decimals === all && width >= 48 && height >= 44 };
  }
  return null;
}

// The cell under the cursor, and its names on both axes even where names are left out.
function drawCursor(pen, slice, layout, theme, [i, j]) {
  pen.clearRect(0, 0, layout.width, layout.height);
  const box = cellBox(layout, slice.rows, i, j);
  pen.lineWidth = 4;
  pen.strokeStyle = "#000000";
  pen.strokeRect(box.x, box.y, box.width, box.height);
  pen.lineWidth = 2;
  pen.strokeStyle = "#ffffff";
  pen.strokeRect(box.x, box.y, box.width, box.height);
  const bottom = layout.top + layout.gridHeight + 7;
  const { namesA, namesB, fontA, fontB, turn } = layout;
  const near = (names, at, step) => names
    .map((text, k) => ({ text, k }))
    .filter(({ k }) => k !== at && k % step === 0 && Math.abs(k - at) <= 3 * step);
  const placeA = { x: layout.left - 7, y: box.y + box.height / 2, turn: 0, align: 1 };
  const othersA = near(namesA.texts, i, fontA.step)
    .map(({ text, k }) => ({ text, right: 0, down: (i - k) * box.height }));
  highlightName(pen, theme, fontA.font, namesA.texts[i], placeA, othersA);
  const placeB = {
    x: box.x + box.width / 2, y: turn ? bottom : bottom + fontB.font / 2, turn, align: turn ? 1 : 0.5,
  };
  const othersB = near(namesB.texts, j, fontB.step)
    .map(({ text, k }) => ({ text, right: (k - j) * box.width, down: 0 }));
  highlightName(pen, theme, fontB.font, namesB.texts[j], placeB, othersB);
}
