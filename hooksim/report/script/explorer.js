// The heatmap on the screen with all that belongs to it: switches, readout, matches, downloads.

const LONGEST_LABEL = 48; // characters of a model's name on an axis; the head of the page has it in full

// Buttons of which one is pressed. `items`: pairs of text and what a press changes.
function fillSwitch(box, items, pressed) {
  const focused = [...box.children].indexOf(document.activeElement);
  box.replaceChildren(
    ...items.map(({ text, changes, title }, i) => {
      const button = make("button", text);
      button.type = "button";
      if (title) button.title = title;
      button.setAttribute("aria-pressed", String(i === pressed));
      button.addEventListener("click", () => update(changes()));
      return button;
    }),
  );
  if (focused >= 0) box.children[Math.min(focused, items.length - 1)].focus();
}

// The measures, one button a group, and the directions of the chosen one.
function showSwitches() {
  const groups = [...new Set(data.matrices.map((matrix) => matrix.group))];
  const within = (group) => data.matrices.filter((matrix) => matrix.group === group);
  const labels = groups.map((group) => within(group)[0].label);
  const measures = groups.map((group, i) => {
    const alone = labels.filter((label) => label === labels[i]).length === 1;
    const kept = () => within(group).find((m) => m.direction === state.matrix.direction);
    return {
      text: alone ? labels[i] : `${labels[i]} · ${group}`,
      changes: () => ({ matrix: kept() ?? within(group)[0] }),
    };
  });
  fillSwitch(find("measures"), measures, groups.indexOf(state.matrix.group));
  const directions = within(state.matrix.group);
  const some = directions.length > 1;
  find("directions").hidden = !some;
  const items = directions.map((matrix) => ({
    text: matrix.direction || matrix.key, changes: () => ({ matrix }),
  }));
  fillSwitch(find("directions"), some ? items : [], directions.indexOf(state.matrix));
}

// A slider for each model that moves; they stay where they are, so that a drag is not cut off.
function showSliders() {
  [0, 1].forEach((which) => {
    const used = which === 1 ? state.matrix.depth > 0 : state.matrix.depth > 1;
    const slider = find(`step-${"ab"[which]}`);
    slider.closest(".slider").hidden = !used;
    slider.max = Math.max(0, data.steps.length - 1);
    slider.value = state.steps[which];
    slider.setAttribute("aria-valuetext", stepText(state.steps[which]));
    const output = find(`step-${"ab"[which]}-name`);
    output.textContent = stepNumber(state.steps[which]);
    // Room for the longest name from the start: the slider must not move under the finger.
    output.style.minWidth = `${Math.min(16, Math.max(...data.steps.map((_, k) => stepNumber(k).length)))}ch`;
    const name = data.stepName[0].toUpperCase() + data.stepName.slice(1);
    const both = state.matrix.depth > 1;
    find(`step-${"ab"[which]}-label`).textContent = both ? `${name} of ${"AB"[which]}` : name;
  });
  find("sliders").hidden = state.matrix.depth === 0;
}

function wireSliders() {
  [0, 1].forEach((which) => {
    find(`step-${"ab"[which]}`).addEventListener("input", (event) => {
      const steps = [...state.steps];
      steps[which] = Number(event.target.value);
      update({ steps });
    });
  });
}

// The heatmap and its colour bar.
const heat = { stage: null, layout: null, scale: null, theme: null };

function showHeatmap(slice) {
  const stage = heat.stage;
  const theme = (heat.theme = readTheme(stage.box));
  const scale = (heat.scale = new Scale(slice.matrix, colours));
  const limits = { height: 620, cell: 150 };
  const layout = (heat.layout = layoutHeatmap(stage.measure, slice, stage.width, limits, theme));
  drawHeatmap(stage.open(layout), slice, layout, scale, theme);
  for (const name of ["above", "axis-b"]) find(name).style.maxWidth = `${layout.width}px`;
  find("axis-a").replaceChildren(...axisTitle("↑", "A", slice.a, layout.namesA.numbered));
  find("axis-b").replaceChildren(...axisTitle("→", "B", slice.b, layout.namesB.numbered));
  find("caption").textContent = `${slice.matrix.caption} ${legend(slice, layout)}`.trim();
}

function axisTitle(arrow, letter, axis, numbered) {
  const parts = [make("span", arrow, "arrow"), make("span", letter, "letter")];
  if (axis.label) parts.push(make("span", shorten(axis.label, LONGEST_LABEL)));
  if (axis.pattern) parts.push(patternOf(axis));
  if (numbered) parts.push(make("span", "by position", "quiet"));
  return parts;
}

// What all names of an axis share.
function patternOf(axis) {
  const pattern = make("code");
  pattern.append(...breakable(axis.pattern));
  return pattern;
}

// What the signs in the heatmap mean.
function legend(slice, layout) {
  const parts = ["Brighter is closer."];
  const matches = bestMatches(slice, "a").filter((match) => match.best >= 0);
  if (slice.columns > 1 && matches.length) {
    parts.push(`${layout.dotted ? "Dotted" : "Framed"}: the closest layer of B for each layer of A.`);
    if (matches.some((match) => !match.decided)) {
      const word = layout.dotted ? "Hollow" : "Dashed";
      parts.push(`${word}: not told apart from the next best by the standard errors.`);
    }
  }
  if (slice.values.some(Number.isNaN)) parts.push("Hatched: undefined.");
  if (layout.text?.rounded) parts.push(`Numbers in the cells are rounded to ${layout.text.decimals} decimals.`);
  return parts.join(" ");
}

function showNumbers(slice) {
  showTable("numbers", CORNER, slice.a.layers, slice.b.layers, (i, j) => {
    const k = i * slice.columns + j;
    return estimateOf(slice.matrix, slice.values[k], slice.errors[k]);
  });
}

function showCursor(slice) {
  const [i, j] = state.cell;
  drawCursor(heat.stage.overPen, slice, heat.layout, heat.theme, state.cell);
  const value = slice.values[i * slice.columns + j];
  const width = Math.min(BAR_LENGTH, heat.layout.width);
  drawBar(find("bar"), heat.scale, width, extremesOf(slice.matrix), heat.theme, value);
}

function wireHeatmap() {
  heat.stage = new Stage(find("heatmap"));
  heat.stage.onPoint((x, y) => {
    const { layout } = heat;
    const slice = sliceOf(state.matrix, state.steps);
    const j = Math.floor((x - layout.left) / layout.cellWidth);
    const i = slice.rows - 1 - Math.floor((y - layout.top) / layout.cellHeight);
    if (i < 0 || j < 0 || i >= slice.rows || j >= slice.columns) return;
    if (i !== state.cell[0] || j !== state.cell[1]) update({ cell: [i, j] });
  });
  heat.stage.box.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    if (moveCell(event.key)) event.preventDefault();
  });
  heat.stage.box.addEventListener("focus", () => {
    if (heat.stage.box.matches(":focus-visible")) update({ spoken: true });
  });
  find("numbers").addEventListener("toggle", () => showNumbers(sliceOf(state.matrix, state.steps)));
  find("pad").querySelectorAll("button").forEach((button) => {
    button.addEventListener("click", () => moveCell(button.value));
  });
}

// Moves the cell by a key; up is towards later layers of A, as drawn.
function moveCell(key) {
  const slice = sliceOf(state.matrix, state.steps);
  const [i, j] = state.cell;
  const goals = {
    ArrowUp: [i + 1, j], ArrowDown: [i - 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1],
    PageUp: [i + 10, j], PageDown: [i - 10, j], Home: [i, 0], End: [i, slice.columns - 1],
  };
  if (key === "Enter") {
    const { best } = bestMatches(slice, "a")[i];
    goals.Enter = [i, Math.max(0, best)];
  }
  if (!goals[key]) return false;
  const within = (place, count) => Math.min(count - 1, Math.max(0, place));
  const cell = [within(goals[key][0], slice.rows), within(goals[key][1], slice.columns)];
  update({ cell, spoken: true });
  return true;
}

// The cell in words.
function showReadout(slice) {
  const [i, j] = state.cell;
  const k = i * slice.columns + j;
  const names = namesAt(slice, state.cell);
  const { value, error } = estimateOf(slice.matrix, slice.values[k], slice.errors[k]);
  find("readout-measure").textContent = titleOf(slice.matrix);
  find("readout-value").textContent = value;
  find("readout-error").textContent = error;
  find("readout-a").replaceChildren(...breakable(names.a));
  find("readout-b").replaceChildren(...breakable(names.b));
  find("readout-note").replaceChildren(...breakable(matchNote(slice, i, j)));
  showOthers(slice, k);
  const shown = `${names.a} × ${names.b}: ${value} ${error}`.trim();
  if (state.spoken) find("live").textContent = shown;
  heat.stage.box.setAttribute("aria-label", `Heatmap of ${titleOf(slice.matrix)}. ${shown}`);
}

// What makes a cell special: that it is the closest for its layer of A, or of B, as in the table.
function matchNote(slice, i, j) {
  const row = bestMatches(slice, "a")[i];
  const column = bestMatches(slice, "b")[j];
  const ofA = slice.columns > 1 && row.best === j;
  const ofB = slice.rows > 1 && column.best === i;
  if (!ofA && !ofB) return "";
  const doubt = [];
  if (ofA && !row.decided) doubt.push(`${slice.b.layers[row.second]} of B`);
  if (ofB && !column.decided) doubt.push(`${slice.a.layers[column.second]} of A`);
  const which = ofA ? "The closest layer of B for this one of A" : "The closest layer of A for this one of B";
  const both = ofA && ofB ? ", and the other way round" : "";
  const apart = doubt.length ? `; not told apart from ${doubt.join(", nor from ")}` : "";
  return `${which}${both}${apart}.`;
}

// The same pair in all other matrices that have it.
function showOthers(slice, k) {
  const others = data.matrices.filter(
    ({ a, b, key }) => a === slice.matrix.a && b === slice.matrix.b && key !== slice.matrix.key,
  );
  const rows = others.map((matrix) => {
    const other = sliceOf(matrix, state.steps);
    const { value, error } = estimateOf(matrix, other.values[k], other.errors[k]);
    const row = make("tr");
    row.append(make("th", titleOf(matrix)), make("td", `${value} ${error}`.trim(), "number"));
    row.firstChild.scope = "row";
    return row;
  });
  find("others").hidden = !rows.length;
  find("others-rows").replaceChildren(...rows);
}

// A name as short as on the axis; in full where the mouse rests on it.
function shortName(axis, k) {
  const name = make("span");
  name.append(...breakable(axis.short[k]));
  name.title = axis.layers[k];
  return name;
}

// The table of best matches of one side.
function matchRows(slice, side) {
  const [own, others] = side === "a" ? [slice.a, slice.b] : [slice.b, slice.a];
  return bestMatches(slice, side).map((match, i) => {
    const row = make("tr");
    const { value, error } = estimateOf(slice.matrix, match.value, match.error);
    const best = make("td", match.best < 0 ? "none" : "", "layer");
    if (match.best >= 0) best.append(shortName(others, match.best));
    if (match.best >= 0 && match.second >= 0 && !match.decided) {
      const next = make("span", "~ ", "runner-up");
      next.append(shortName(others, match.second));
      best.append(" ", next);
    }
    const name = make("th", "", "layer");
    name.append(shortName(own, i));
    name.scope = "row";
    row.append(name, best, make("td", match.best < 0 ? "–" : `${value} ${error}`, "number"));
    return row;
  });
}

function showMatches(slice) {
  const side = state.side;
  fillSwitch(
    find("match-sides"),
    ["a", "b"].map((one) => ({ text: one.toUpperCase(), changes: () => ({ side: one }) })),
    "ab".indexOf(side),
  );
  const [own, other] = side === "a" ? "AB" : "BA";
  find("match-own").textContent = `Layer of ${own}`;
  find("match-other").textContent = `Closest of ${other}`;
  find("match-rows").replaceChildren(...matchRows(slice, side));
}

function markMatch() {
  const chosen = state.cell[state.side === "a" ? 0 : 1];
  [...find("match-rows").children].forEach((row, i) => row.classList.toggle("here", i === chosen));
}

// Files with the bytes of a saved result's tables.
function download(name, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function safeName(text) {
  return text.replace(/[^A-Za-z0-9_-]+/g, "_");
}

function fileName(slice) {
  const used = [[], [state.steps[1]], state.steps][slice.matrix.depth];
  const parts = used.map((step) => safeName(data.steps[step]));
  return [slice.matrix.file, ...parts].join(".");
}

function wireDownloads() {
  const save = (ending, choose) => () => {
    const slice = sliceOf(state.matrix, state.steps);
    download(fileName(slice) + ending, csvTable(choose(slice), slice.a.layers, slice.b.layers));
  };
  find("save-values").addEventListener("click", save(".csv", (slice) => slice.values));
  find("save-errors").addEventListener("click", save(".stderr.csv", (slice) => slice.errors));
}
