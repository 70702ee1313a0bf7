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
// A table is saved as it is sorted.
(() => {
  "use strict";
  for (const button of document.querySelectorAll("button.export"))
    button.addEventListener("click", () => {
      const table = button.closest("details").querySelector("table");
      const lines = [...table.rows].map((row) => [...row.cells].map((one) => csvCell(one.dataset.key || one.textContent.trim())).join(","));
      const link = Object.assign(document.createElement("a"), { download: `${button.dataset.name}.csv` });
      link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
})();
// A word's definition shows beside it on hover, focus and tap; Escape hides it. Without this script, and in print, the
// words lead to the list of definitions.
(() => {
  "use strict";
  const tip = document.getElementById("tip");
  let shown = null;
  const hide = () => { shown = null; tip.hidden = true; };
  const show = (word) => {
    shown = word;
    tip.textContent = document.getElementById(word.getAttribute("aria-describedby")).textContent;
    tip.hidden = false;
    const [at, size] = [word.getBoundingClientRect(), tip.getBoundingClientRect()];
    const wide = document.documentElement.clientWidth;
    tip.style.left = `${Math.max(8, Math.min(at.left, wide - size.width - 8))}px`;
    const below = at.bottom + 6 + size.height <= innerHeight;
    tip.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - size.height - 6)}px`;
  };
  for (const word of document.querySelectorAll("a.term")) {
    word.addEventListener("mouseenter", () => show(word));
    word.addEventListener("focus", () => word.matches(":focus-visible") && show(word));
    word.addEventListener("mouseleave", (event) => event.relatedTarget !== tip && document.activeElement !== word && hide());
    word.addEventListener("blur", hide);
    // With a mouse or the keyboard a press goes to the list; a finger has no hover, and its first tap shows the words.
    word.addEventListener("pointerdown", (event) => { word.dataset.touch = event.pointerType === "touch" && shown !== word ? "yes" : ""; });
    word.addEventListener("click", (event) => {
      if (word.dataset.touch !== "yes") return hide();
      word.dataset.touch = "";
      event.preventDefault();
      show(word);
    });
  }
  tip.addEventListener("mouseleave", hide);
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
  const follow = () => {
    if (!shown) return;
    const at = shown.getBoundingClientRect();
    if (at.bottom < 0 || at.top > innerHeight) hide();
    else show(shown);
  };
  addEventListener("scroll", follow, { passive: true, capture: true });
  addEventListener("pointerdown", (event) => shown && event.target !== tip && event.target !== shown && hide());
})();
