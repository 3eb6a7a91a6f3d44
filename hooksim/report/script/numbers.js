// Numbers: read from the page's data, worded for people, written as a saved result writes them.

const MINUS = "\u2212";
const CORNER = "layer of A / layer of B";

// Text of base64, little-endian float64: every bit of what was computed.
function decodeFloats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

// A fixed number of decimals, a true minus sign, no negative zero.
function formatNumber(value, decimals) {
  if (Number.isNaN(value)) return "undefined";
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", MINUS);
}

const FEWEST_DECIMALS = 3;
const MOST_DECIMALS = 5;
const MOST_LOOKED_AT = 4000;

// As many decimals as show two digits of a typical error, the median of those known: 3 to 5. Of
// very many, evenly spaced ones are looked at.
function decimalsFor(errors) {
  const every = Math.ceil(errors.length / MOST_LOOKED_AT) || 1;
  const known = errors.filter((error, k) => k % every === 0 && error > 0).sort();
  if (!known.length) return FEWEST_DECIMALS;
  const wanted = Math.ceil(-Math.log10(known[Math.floor(known.length / 2)])) + 1;
  return Math.min(MOST_DECIMALS, Math.max(FEWEST_DECIMALS, wanted));
}

// Value and standard error with the same decimals; an error that would be a zero by its size.
function formatEstimate(value, error, decimals) {
  const size = errorText(error, decimals);
  return { value: formatNumber(value, decimals), error: size && `± ${size}` };
}

function errorText(error, decimals) {
  if (Number.isNaN(error)) return "";
  if (error === 0) return "0";
  const text = formatNumber(error, decimals);
  return Number(text) === 0 ? error.toExponential(0).replace("-", MINUS) : text;
}

// The shortest text that means this number, in Python's notation: 1.0, 1e-07, nan.
function pythonText(value) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa, power] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const padded = digits.padEnd(exponent + 2, "0");
  return `${sign}${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1)}`;
}

// A name for a cell of a table: one that a spreadsheet would run gets an apostrophe in front.
function csvName(name) {
  const harmless = /^[=+\-@\t\r\n]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

// The table that a saved result holds: for a matrix A down, B across; all digits.
function csvTable(numbers, down, across, corner = CORNER) {
  const lines = [[corner, ...across.map(csvName)].join(",")];
  down.forEach((name, i) => {
    const row = numbers.slice(i * across.length, (i + 1) * across.length);
    lines.push([csvName(name), ...Array.from(row, pythonText)].join(","));
  });
  return lines.join("\n") + "\n";
}

// Round places for the ticks of an axis, about `wanted` of them.
function niceTicks(low, high, wanted) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((part) => part * power).find((size) => size >= raw * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const value = (first + i) * step;
    return { value, text: formatNumber(value, decimals) };
  });
}
