// The numbers of a picture as a table, for whoever does not see it: made when it is unfolded.

function showTable(id, corner, rows, columns, estimateAt) {
  const table = find(id).querySelector("table");
  table.replaceChildren();
  if (!find(id).open) return;
  const head = make("tr");
  head.append(make("th", corner), ...columns.map((name) => make("th", name, "number")));
  const body = rows.map((name, i) => {
    const row = make("tr");
    row.append(make("th", name));
    columns.forEach((_, j) => {
      const { value, error } = estimateAt(i, j);
      row.append(make("td", `${value} ${error}`.trim(), "number"));
    });
    row.firstChild.scope = "row";
    return row;
  });
  [...head.children].forEach((cell) => (cell.scope = "col"));
  table.append(make("thead"), make("tbody"));
  table.tHead.append(head);
  table.tBodies[0].append(...body);
}
