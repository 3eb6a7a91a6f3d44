// The heatmap: layers of A upwards, layers of B to the right, layer 0 in the lower left corner.

const SMALL_CELL = 16; // smaller cells are marked with a dot, larger ones with a frame
const SMALLEST_GRID = 240;

// How large everything is. `limits`: the tallest grid and the largest cell.
function layoutHeatmap(pen, slice, width, limits, theme) {
  const { rows, columns } = slice;
  const roomA = Math.min(190, width * 0.27);
  pen.font = `12px ${theme.family}`;
  const namesA = fitNames(pen, slice.a.short, roomA);
  const left = Math.max(28, Math.ceil(1.08 * widest(pen, namesA.texts)) + 14);
  const across = Math.max(SMALLEST_GRID, columns * limits.cell);
  const widestCell = Math.min(across, width - left - 2) / columns;
  const upwards = Math.max(SMALLEST_GRID, rows * Math.min(limits.cell, widestCell));
  const cellHeight = Math.min(upwards, limits.height) / rows;
  // Cells are about square, unless there are too few columns for that.
  const cellWidth = Math.min(widestCell, Math.max(1.2 * cellHeight, SMALLEST_GRID / columns));
  const fontA = chooseFont(cellHeight);
  const { namesB, fontB, longest, turn } = layoutNamesB(pen, slice, left, cellWidth, theme);
  const bottom = 10 + { 0: fontB.font, 45: longest * 0.71 + fontB.font, 90: longest }[turn];
  return {
    left, top: 6, cellWidth, cellHeight, namesA, namesB, fontA, fontB, turn,
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
  const small = Math.min(layout.cellWidth, layout.cellHeight) < SMALL_CELL;
  bestMatches(slice, "a").forEach((match, i) => {
    if (match.best < 0) return;
    const box = cellBox(layout, slice.rows, i, match.best);
    const ink = scale.inks[scale.index(match.value)];
    if (small) drawDot(pen, box, ink, match.decided);
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
  const inset = Math.max(2, 0.06 * Math.min(box.width, box.height));
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
  const choice = chooseText(pen, layout, values, theme);
  if (!choice) return;
  const withErrors = layout.cellWidth >= 48 && layout.cellHeight >= 44;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let k = 0; k < rows * columns; k += 1) {
    if (Number.isNaN(values[k])) continue;
    const box = cellBox(layout, rows, Math.floor(k / columns), k % columns);
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const below = withErrors && !Number.isNaN(errors[k]);
    pen.fillStyle = scale.inks[scale.index(values[k])];
    pen.font = `${choice.font}px ${theme.family}`;
    pen.fillText(formatNumber(values[k], choice.decimals), x, below ? y - 7 : y);
    if (!below) continue;
    pen.font = `${choice.font * 0.8}px ${theme.family}`;
    pen.fillText(`±${formatNumber(errors[k], choice.decimals)}`, x, y + 8);
  }
}

function chooseText(pen, layout, values, theme) {
  if (layout.cellWidth < 18 || layout.cellHeight < 9) return null;
  pen.font = `10px ${theme.family}`;
  for (const [decimals, smallest] of [[3, 9], [2, 8]]) {
    const texts = Array.from(values, (v) => (Number.isNaN(v) ? "" : formatNumber(v, decimals)));
    const width = Math.max(1, widest(pen, texts)) / 10;
    const font = Math.min(13, (0.78 * layout.cellWidth) / width, (0.84 * layout.cellHeight) / LINE);
    if (font >= smallest) return { decimals, font };
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
  highlightName(pen, layout, theme, layout.namesA.texts[i], layout.fontA.font, () => {
    pen.translate(layout.left - 7, box.y + box.height / 2);
    return -1;
  });
  const bottom = layout.top + layout.gridHeight + 7;
  highlightName(pen, layout, theme, layout.namesB.texts[j], layout.fontB.font, (half) => {
    pen.translate(box.x + box.width / 2, layout.turn ? bottom : bottom + half);
    pen.rotate((-layout.turn * Math.PI) / 180);
    return layout.turn ? -1 : -0.5;
  });
}

// Writes a name on a coloured ground; `move` takes the pen there and says how far left it begins.
function highlightName(pen, layout, theme, text, font, move) {
  pen.save();
  pen.font = `600 ${font}px ${theme.family}`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const width = pen.measureText(text).width;
  const start = move(font / 2) * width;
  pen.fillStyle = theme.accent;
  pen.beginPath();
  pen.roundRect(start - 4, -font / 2 - 3, width + 8, font + 6, 3);
  pen.fill();
  pen.fillStyle = theme.surface;
  pen.fillText(text, start, 0.5);
  pen.restore();
}
