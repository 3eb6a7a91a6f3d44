// The closest layer of the other model for each layer of one: the rule of `best_match`.

// Of equal values the first wins. `decided`: the gap to the runner-up exceeds twice the sum of
// both standard errors. Undefined values never match.
function closest(count, valueAt, errorAt, larger) {
  const better = (value, other) => (larger ? value > other : value < other);
  let best = -1;
  let second = -1;
  for (let k = 0; k < count; k += 1) {
    const value = valueAt(k);
    if (Number.isNaN(value)) continue;
    if (best < 0 || better(value, valueAt(best))) {
      second = best;
      best = k;
    } else if (second < 0 || better(value, valueAt(second))) {
      second = k;
    }
  }
  if (best < 0) return { best, second, value: NaN, error: NaN, decided: false };
  const gap = second < 0 ? Infinity : Math.abs(valueAt(best) - valueAt(second));
  const doubt = second < 0 ? 0 : 2 * (errorAt(best) + errorAt(second));
  return { best, second, value: valueAt(best), error: errorAt(best), decided: gap > doubt };
}

// A match for each layer of A ("a") or of B ("b") of one slice of a matrix.
function bestMatches(slice, side) {
  const { values, errors, rows, columns, matrix } = slice;
  const larger = matrix.best === "max";
  const [own, others] = side === "a" ? [rows, columns] : [columns, rows];
  const place = (i, k) => (side === "a" ? i * columns + k : k * columns + i);
  return Array.from({ length: own }, (_, i) =>
    closest(others, (k) => values[place(i, k)], (k) => errors[place(i, k)], larger),
  );
}
