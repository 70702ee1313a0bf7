// Drawing: one side's text, its map on a canvas, thumbnails, and the picture that is saved.
const xpDraw = (data, root) => {
  const night = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const clean = (token) => token.replace(/^[▁Ġ]/, "").replace(/^##/, "") || "·";
  // Near-black is not seen on a dark page: there it is the colour of the text.
  const ink = (tongue) => (tongue.colour === "#222222" ? "var(--xp-ink)" : tongue.colour);
  const plain = (tongue, dark) => (tongue ? (dark && tongue.colour === "#222222" ? "#dddddd" : tongue.colour) : dark ? "#555555" : "#cccccc");
  const tongue = (item, slot) => data.languages[item.slotLanguages[slot]];
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const heat = (dark) => (dark ? [255, 159, 77] : [168, 62, 0]);

  function label(view, place, level) {
    if (level === "unit") return view.item.slotTexts[place];
    if (level === "token") return clean(view.item.tokens[place]);
    return view.item.tokens.filter((_, token) => view.item.words[token] === place).map(clean).join("");
  }

  // The text of a side, one line a sentence, one option a place; returns the options by place.
  function text(element, view, level) {
    const entries = [];
    const lines = view.item.slotTexts.map((_, slot) => {
      const line = Object.assign(document.createElement("div"), { className: "xp-unit" });
      line.setAttribute("role", "presentation");
      const own = tongue(view.item, slot);
      if (own) {
        line.style.setProperty("--xp-language", ink(own));
        line.dir = own.direction;
        line.lang = view.item.slotLanguages[slot];
      }
      view.slots.forEach((at, place) => {
        if (at !== slot) return;
        const starts = level === "word" || (level === "token" && /^[▁Ġ]/.test(view.item.tokens[place]));
        const entry = Object.assign(document.createElement("span"), { textContent: label(view, place, level), tabIndex: -1 });
        entry.className = "xp-slot" + (view.special[place] ? " xp-special" : "") + (starts ? " xp-word" : "");
        entry.setAttribute("role", "option");
        entry.setAttribute("aria-selected", "false");
        entry.dataset.place = place;
        entries[place] = entry;
        line.append(entry);
      });
      return line;
    });
    element.replaceChildren(...lines);
    return entries;
  }

  function map(canvas, view, { top, chosen, incoming, zoom, words }) {
    const strip = Math.max(1, Math.round(view.size / 24));
    const cell = Math.max(2, Math.floor((520 * zoom) / (view.size + strip)));
    canvas.width = canvas.height = Math.min(4096, cell * (view.size + strip));
    const step = canvas.width / (view.size + strip);
    const pen = canvas.getContext("2d");
    const dark = night();
    pen.fillStyle = dark ? "#101114" : "#ffffff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (let query = 0; query < view.size; query++) {
      for (let key = 0; key < view.size; key++) {
        const value = view.weights[query * view.size + key];
        if (value <= 0) continue;
        pen.fillStyle = `rgba(${heat(dark)},${Math.sqrt(Math.min(1, value / top)).toFixed(3)})`;
        pen.fillRect((key + strip) * step, (query + strip) * step, step + 0.5, step + 0.5);
      }
      pen.fillStyle = plain(tongue(view.item, view.slots[query]), dark);
      pen.fillRect(0, (query + strip) * step, strip * step - 2, step);
      pen.fillRect((query + strip) * step, 0, step, strip * step - 2);
    }
    pen.strokeStyle = dark ? "#fff" : "#000";
    pen.lineWidth = 2;
    for (const place of chosen) {
      const [at, span] = [(place + strip) * step, view.size * step];
      if (incoming) pen.strokeRect(at + 1, strip * step, step - 2, span - 1);
      else pen.strokeRect(strip * step, at + 1, span - 1, step - 2);
    }
    canvas.dataset.strip = strip;
    canvas.style.width = `${26 * zoom}rem`;
    canvas.setAttribute("aria-label", `Attention map, ${view.size} by ${view.size}: rows are queries, columns are keys. Framed: ${words}.`);
  }

  function thumbnail(canvas, view, top) {
    const cell = Math.max(1, Math.floor(48 / view.size));
    canvas.width = canvas.height = cell * view.size;
    const pen = canvas.getContext("2d");
    const dark = night();
    pen.fillStyle = dark ? "#101114" : "#ffffff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (let place = 0; place < view.weights.length; place++) {
      if (view.weights[place] <= 0) continue;
      pen.fillStyle = `rgba(${heat(dark)},${Math.sqrt(Math.min(1, view.weights[place] / top)).toFixed(2)})`;
      pen.fillRect((place % view.size) * cell, Math.floor(place / view.size) * cell, cell, cell);
    }
  }

  const escape = (words) => words.replace(/[&<>"]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter]);

  // Both maps with the names of their rows and columns as one svg, on white whatever the page's colours.
  function svg(views, titles, level, top) {
    const [margin, edge] = [150, 380];
    const parts = views.map((view, number) => {
      if (!view) return "";
      const step = edge / view.size;
      const font = Math.max(2.5, Math.min(11, step * 0.85));
      const cells = [];
      view.weights.forEach((value, place) => {
        const shade = Math.sqrt(Math.min(1, value / top));
        if (shade < 0.02) return;
        const [x, y] = [(place % view.size) * step, Math.floor(place / view.size) * step];
        cells.push(`<rect x="${x.toFixed(2)}" y="${y.toFixed(2)}" width="${step.toFixed(2)}" height="${step.toFixed(2)}" fill-opacity="${shade.toFixed(3)}"/>`);
      });
      const names = Array.from({ length: view.size }, (_, place) => {
        const whole = label(view, place, level);
        const words = escape(whole.length > 26 ? `${whole.slice(0, 25)}…` : whole);
        const [at, colour] = [((place + 0.5) * step).toFixed(2), plain(tongue(view.item, view.slots[place]), false)];
        const style = `font-size="${font.toFixed(1)}" fill="${colour === "#cccccc" ? "#777777" : colour}" dominant-baseline="central"`;
        return `<text x="-4" y="${at}" text-anchor="end" ${style}>${words}</text><text transform="translate(${at} -4) rotate(-90)" ${style}>${words}</text>`;
      });
      return `<g transform="translate(${margin + number * (margin + edge + 20)} ${margin + 30})"><text y="${-margin - 12}" font-size="13" font-weight="600">${escape(titles[number])}</text><g fill="rgb(${heat(false)})" shape-rendering="crispEdges">${cells.join("")}</g><rect width="${edge}" height="${edge}" fill="none" stroke="#888"/>${names.join("")}</g>`;
    });
    const [width, height] = [2 * (margin + edge + 20) + 10, margin + edge + 62];
    const note = `rows: queries, columns: keys; darkest: ${percent(top)}, colour by root`;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Noto Sans, DejaVu Sans, system-ui, sans-serif"><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}<text x="10" y="${height - 8}" font-size="11" fill="#555">${note}</text></svg>`;
  }

  return { text, map, thumbnail, svg, label, percent, ink, heat, night };
};
