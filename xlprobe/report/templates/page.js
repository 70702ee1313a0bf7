// Tables sort by the column whose heading is pressed; a second press turns the order round.
(() => {
  "use strict";
  const announce = document.getElementById("announce");
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === "" || b === "") return a === "" ? 1 : -1; // undefined values stay last
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key ?? (cell.textContent === "–" ? "" : cell.textContent);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => {
          const [x, y] = [key(a, column), key(b, column)];
          return x === "" || y === "" ? compare(x, y) : (up ? 1 : -1) * compare(x, y);
        });
        table.tBodies[0].append(...rows);
        announce.textContent = `Sorted by ${heading.textContent.trim()}, ${up ? "ascending" : "descending"}`;
      });
    });
  }
})();
