// What the page was given, and the state of what is looked at.

const data = JSON.parse(document.getElementById("data").textContent);
const colours = readColours(data.colours);
const depthColours = readColours(data.depthColours);

// Numbers are decoded when they are first needed.
function numbersOf(item) {
  item.decoded ??= item.mirrors ? mirrored(matrixOf(item.mirrors)) : {
    values: decodeFloats(item.values), errors: decodeFloats(item.stderr),
  };
  return item.decoded;
}

// The numbers of all pairs of steps with A and B exchanged: from B to A what was from A to B.
function mirrored(matrix) {
  const count = data.steps.length;
  const [rows, columns] = [matrix.a, matrix.b].map((axis) => data.axes[axis].layers.length);
  const exchanged = (numbers) => {
    const result = new Float64Array(numbers.length);
    let k = 0;
    for (let from = 0; from < count; from += 1) {
      for (let to = 0; to < count; to += 1) {
        const start = (to * count + from) * rows * columns;
        for (let j = 0; j < columns; j += 1) {
          for (let i = 0; i < rows; i += 1) result[k++] = numbers[start + i * columns + j];
        }
      }
    }
    return result;
  };
  const { values, errors } = numbersOf(matrix);
  return { values: exchanged(values), errors: exchanged(errors) };
}

// Decimals of all numbers of a measure: at every cell, at every step, in either direction.
function decimalsOf({ group }) {
  const all = data.matrices.filter((matrix) => matrix.group === group);
  all[0].decimals ??= Math.max(...all.map((matrix) => decimalsFor(numbersOf(matrix).errors)));
  return all[0].decimals;
}

// Value and standard error of a matrix in words.
function estimateOf(matrix, value, error) {
  return formatEstimate(value, error, decimalsOf(matrix));
}

function matrixOf(key) {
  return data.matrices.find((matrix) => matrix.key === key);
}

// One matrix at the chosen steps: `steps` holds the position of A's slider and that of B's. Where
// only one model moves, it is B.
function sliceOf(matrix, steps) {
  const [a, b] = [data.axes[matrix.a], data.axes[matrix.b]];
  const [rows, columns] = [a.layers.length, b.layers.length];
  const place = [0, steps[1], steps[0] * data.steps.length + steps[1]][matrix.depth];
  const { values, errors } = numbersOf(matrix);
  const [from, to] = [place * rows * columns, (place + 1) * rows * columns];
  return {
    matrix, rows, columns,
    a: matrix.depth > 1 ? { ...a, label: stepText(steps[0]) } : a,
    b: matrix.depth > 0 ? { ...b, label: stepText(steps[1]) } : b,
    values: values.subarray(from, to),
    errors: errors.subarray(from, to),
  };
}

// A step as people write it: large numbers in groups of three digits.
function stepNumber(place) {
  const text = data.steps[place] ?? "";
  return /^\d+$/.test(text) ? text.replace(/\B(?=(\d{3})+$)/g, ",") : text;
}

// A step in a sentence; one that is no number has a name of its own.
function stepText(place) {
  const text = stepNumber(place);
  return /^\d/.test(text) ? `${data.stepName} ${text}` : text;
}

// The steps of A and B to begin with: the first and the last, but not one that A is compared with
// itself at.
function openingSteps() {
  const last = Math.max(0, data.steps.length - 1);
  return [0, last > 0 && data.referenceStep === last ? 0 : last];
}

// A measure's name; "k = 1" must not be torn apart.
function titleOf({ label, direction }) {
  return (direction ? `${label}, ${direction}` : label).replaceAll(" = ", "\u00a0=\u00a0");
}

// The smallest and the largest value of all steps.
function extremesOf(matrix) {
  matrix.extremes ??= numbersOf(matrix).values.reduce(
    ({ low, high }, value) => (Number.isNaN(value) ? { low, high } : { low: Math.min(low, value), high: Math.max(high, value) }),
    { low: Infinity, high: -Infinity },
  );
  return matrix.extremes;
}

// Names of the layers of both models at a cell.
function namesAt(slice, [i, j]) {
  return { a: slice.a.layers[i], b: slice.b.layers[j] };
}

// What is looked at; whoever shows a part of it hears of every change.
const state = {
  matrix: data.matrices[0],
  steps: openingSteps(),
  cell: [0, 0],
  side: "a",
  whole: false,
  layer: 0,
  spoken: false,
};
const listeners = [];

function update(changes) {
  Object.assign(state, changes);
  state.spoken = Boolean(changes.spoken);
  const slice = sliceOf(state.matrix, state.steps);
  state.cell = [Math.min(state.cell[0], slice.rows - 1), Math.min(state.cell[1], slice.columns - 1)];
  listeners.forEach((listener) => listener(slice, Object.keys(changes)));
}

// Elements: found by id, made with text that is never read as HTML.
function find(id) {
  return document.getElementById(id);
}

function make(tag, text = "", name = "") {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (name) element.className = name;
  return element;
}

// A name that may be broken between its parts.
function breakable(name) {
  return name.split(/(?<=[._/])/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));
}
