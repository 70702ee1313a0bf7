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
// On a narrow page the contents fold away; the section that is read is marked in them.
(() => {
  "use strict";
  const contents = document.getElementById("contents");
  const narrow = matchMedia("(max-width: 64rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => event.target.closest("a") && fold());
  const links = new Map([...contents.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) links.get(target.id)?.setAttribute("aria-current", String(isIntersecting));
  }, { rootMargin: "-20% 0px -60% 0px" });
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
})();
// A table is saved as it is sorted; a cell that begins like a formula is text for a spreadsheet too.
(() => {
  "use strict";
  const cell = (words) => (/[",\n\r]|^[=+@]|^-(?![\d.–])/.test(words) ? `"${words.replace(/^([=+@-])/, "'$1").replace(/"/g, '""')}"` : words);
  for (const button of document.querySelectorAll("button.export"))
    button.addEventListener("click", () => {
      const table = button.closest("details").querySelector("table");
      const lines = [...table.rows].map((row) => [...row.cells].map((one) => cell(one.dataset.key || one.textContent.trim())).join(","));
      const link = Object.assign(document.createElement("a"), { download: `${button.dataset.name}.csv` });
      link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
})();
