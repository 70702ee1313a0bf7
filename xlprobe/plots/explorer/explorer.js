// The attention explorer. Weights come as roots in whole steps, compressed per layer, and are read only when shown.
(() => {
  "use strict";
  const root = document.getElementById("xp");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const $ = (name) => document.getElementById(`xp-${name}`);
  const sides = [...root.querySelectorAll(".xp-side")];
  const state = { problem: 0, pair: "", checkpoint: 0, layer: 0, head: "mean", level: "unit", term: "pattern", special: true, at: [0, 0] };
  const shown = [null, null]; // per side: {item, weights, size, labels}
  const cache = new Map();
  let turn = 0;

  const find = (context, question) =>
    data.items.find((one) => one.problem === state.problem && one.checkpoint === data.checkpoints[state.checkpoint] && one.context === context && one.question === question);
  const dark = () => getComputedStyle(root).getPropertyValue("--xp-dark") || matchMedia("(prefers-color-scheme: dark)").matches;

  async function block(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // One layer's weights of one term, (head, query, key), as numbers.
  async function layerOf(item, level, term, layer) {
    const key = [data.items.indexOf(item), level, term, layer].join("/");
    if (cache.has(key)) return cache.get(key);
    const stored = item[level];
    let found;
    if (stored[term]) {
      const bytes = await block(stored[term][layer]);
      const steps = level === "unit" ? 255 : item.levels;
      found = Float32Array.from(bytes, (step) => (step / steps) ** 2);
    } else if (term === "pattern" || (term === "mono" && !stored.mono)) {
      if (stored.mono) {
        const [first, second] = [await layerOf(item, level, "mono", layer), await layerOf(item, level, "cross", layer)];
        found = first.map((value, place) => value + second[place]);
      } else found = await layerOf(item, level, "pattern", layer);
    } else {
      found = new Float32Array((await layerOf(item, level, "pattern", layer)).length); // Q_cross is not used here
    }
    if (cache.size > 400) cache.clear();
    cache.set(key, found);
    return found;
  }

  async function matrix(item) {
    const size = state.level === "unit" ? item.slotTexts.length : item.tokens.length;
    const all = await layerOf(item, state.level, state.term, state.layer);
    const whole = state.special && state.term !== "pattern" ? await layerOf(item, state.level, "pattern", state.layer) : all;
    const isSpecial = Array.from({ length: size }, (_, place) => item.slotUnits[state.level === "unit" ? place : item.slots[place]] < 0);
    const weights = new Float32Array(size * size);
    const heads = state.head === "mean" ? [...Array(item.heads).keys()] : [Number(state.head)];
    for (const head of heads) {
      for (let query = 0; query < size; query++) {
        const start = (head * size + query) * size;
        // Without special tokens a row is divided by what the combined pattern leaves to the others.
        let left = 0;
        for (let key = 0; key < size; key++) if (!(state.special && isSpecial[key])) left += whole[start + key];
        const scale = state.special ? (left > 1e-6 ? 1 / left : 0) : 1;
        for (let key = 0; key < size; key++) {
          if (!(state.special && isSpecial[key])) weights[query * size + key] += (all[start + key] * scale) / heads.length;
        }
      }
    }
    return { size, weights, isSpecial };
  }

  const clean = (token) => token.replace(/^▁/, "").replace(/^##/, "") || "·";
  // Near-black would not be seen on a dark page: there it is the colour of the text.
  const colourOf = (tongue) => (tongue.colour === "#222222" ? "var(--xp-ink)" : tongue.colour);
  const language = (item, slot) => data.languages[item.slotLanguages[slot]];

  function option(select, entries, chosen) {
    select.replaceChildren(...entries.map(([value, text]) => Object.assign(document.createElement("option"), { value, textContent: text, selected: String(value) === String(chosen) })));
  }

  function pairsHere() {
    const seen = new Set();
    for (const one of data.items) if (one.problem === state.problem && one.checkpoint === data.checkpoints[state.checkpoint]) seen.add(`${one.context}-${one.question}`);
    const all = [...seen];
    const switched = all.filter((pair) => pair.split("-")[0] !== pair.split("-")[1]);
    return switched.length ? switched : all;
  }

  function controls() {
    const pairs = pairsHere();
    if (!pairs.includes(state.pair)) state.pair = pairs[0];
    option($("problem"), data.problems.map((one, number) => [number, one.label]), state.problem);
    option($("pair"), pairs.map((pair) => [pair, `${pair.split("-").map((code) => data.languages[code].name).join(" – ")} (${pair.replace("-", "–")})`]), state.pair);
    option($("checkpoint"), data.checkpoints.map((name, number) => [number, name]), state.checkpoint);
    const [context, question] = state.pair.split("-");
    const item = find(context, question);
    $("layer").max = item.layers - 1;
    state.layer = Math.min(state.layer, item.layers - 1);
    $("layer").value = state.layer;
    $("layer-shown").textContent = state.layer;
    option($("head"), [["mean", "mean of all"], ...Array.from({ length: item.heads }, (_, head) => [head, head])], state.head);
    const items = [find(context, context), item].filter(Boolean);
    const byToken = items.some((one) => one.token);
    $("level-token").disabled = !byToken;
    if (!byToken) state.level = "unit";
    for (const input of root.querySelectorAll("[name=xp-level]")) input.checked = input.value === state.level;
    for (const input of root.querySelectorAll("[name=xp-term]")) {
      input.disabled = input.value !== "pattern" && !item.crossed;
      if (input.disabled && state.term === input.value) state.term = "pattern";
    }
    for (const input of root.querySelectorAll("[name=xp-term]")) input.checked = input.value === state.term;
    const notes = [];
    if (!byToken) notes.push("This problem is here by sentence only, to keep the file small; open it in a notebook with xlprobe.plots.explore to see it by token.");
    else if (state.level === "token" && Math.min(...items.filter((one) => one.token).map((one) => one.levels)) < 255) notes.push("By token, weights are rounded to save space (within about 3 percentage points).");
    if (!item.crossed) notes.push("This checkpoint has one query, so there is nothing to split.");
    $("note").textContent = notes.join(" ");
  }

  // Draw a side anew: its text, its map.
  async function side(number, item, token) {
    const element = sides[number];
    const [title, text, row] = [element.querySelector("h3"), element.querySelector(".xp-text"), element.querySelector(".xp-row")];
    const names = item ? [item.context, item.question].map((code) => data.languages[code].name) : [];
    title.textContent = !item ? "in-language version not kept" : number === 0 ? `In one language: ${names[0]}` : item.context === item.question ? `In one language: ${names[0]}` : `Across languages: ${names[0]} context, ${names[1]} question`;
    if (!item || (state.level === "token" && !item.token)) {
      shown[number] = null;
      text.replaceChildren(item ? "This version is here by sentence only, to keep the file small." : "");
      row.replaceChildren();
      element.querySelector("canvas").width = 0;
      return;
    }
    const found = await matrix(item);
    if (token !== turn) return;
    const slots = [];
    const lines = item.slotTexts.map((words, slot) => {
      const line = document.createElement("div");
      line.className = "xp-unit";
      line.setAttribute("role", "presentation");
      const tongue = language(item, slot);
      if (tongue) {
        line.style.setProperty("--xp-language", colourOf(tongue));
        line.dir = tongue.direction;
        line.lang = item.slotLanguages[slot];
      }
      const places = state.level === "unit" ? [slot] : item.slots.flatMap((own, place) => (own === slot ? [place] : []));
      for (const place of places) {
        const token_ = item.tokens[place] ?? "";
        const entry = document.createElement("span");
        entry.className = "xp-slot" + (item.slotUnits[slot] < 0 ? " xp-special" : "") + (state.level === "token" && token_.startsWith("▁") ? " xp-word" : "");
        entry.textContent = state.level === "unit" ? words : clean(token_);
        entry.setAttribute("role", "option");
        entry.setAttribute("aria-selected", "false");
        entry.tabIndex = -1;
        entry.dataset.place = place;
        slots[place] = entry;
        line.append(entry);
      }
      return line;
    });
    text.replaceChildren(...lines);
    shown[number] = { item, slots, ...found };
  }

  async function draw() {
    const token = ++turn;
    controls();
    const [context, question] = state.pair.split("-");
    try {
      await Promise.all([side(0, find(context, context), token), side(1, find(context, question), token)]);
    } catch (error) {
      $("note").textContent = `This browser cannot unpack the data (${error.message}); a current one can.`;
      return;
    }
    if (token !== turn) return;
    const places = new Set(shown.filter(Boolean).flatMap((one) => one.item.slotUnits));
    if (!places.has(state.at[0]) && shown.some(Boolean)) state.at = [0, 0];
    mark(false);
  }

  // The place of a unit's n-th token (or of the unit) on a side: what both sides have in common.
  function placeOf(view, [unit, offset]) {
    const item = view.item;
    let slot = unit < 0 ? -1 - unit : item.slotUnits.indexOf(unit);
    if (slot < 0 || slot >= item.slotTexts.length) slot = 0;
    if (state.level === "unit") return slot;
    const tokens = item.slots.flatMap((own, place) => (own === slot ? [place] : []));
    return tokens[Math.min(offset, tokens.length - 1)];
  }

  function at(view, place) {
    const slot = state.level === "unit" ? place : view.item.slots[place];
    const unit = view.item.slotUnits[slot];
    return [unit < 0 ? -1 - slot : unit, state.level === "unit" ? 0 : place - view.item.slots.indexOf(slot)];
  }

  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const label = (view, place) => (state.level === "unit" ? view.item.slotTexts[place] : clean(view.item.tokens[place]));

  function mark(focus, from = 1) {
    const said = [];
    shown.forEach((view, number) => {
      if (!view) return;
      const place = placeOf(view, state.at);
      const row = view.weights.subarray(place * view.size, (place + 1) * view.size);
      const top = Math.max(1e-9, ...row);
      view.slots.forEach((entry, key) => {
        const chosen = key === place;
        entry.setAttribute("aria-selected", String(chosen));
        entry.tabIndex = chosen ? 0 : -1;
        entry.style.background = row[key] > 0 ? `rgb(var(--xp-heat) / ${(0.75 * row[key] / top).toFixed(3)})` : "";
        entry.title = percent(row[key]);
        if (chosen && focus && number === from) entry.focus({ preventScroll: false });
      });
      const best = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, 5);
      const list = document.createElement("ol");
      for (const key of best) {
        const entry = document.createElement("li");
        const share = Object.assign(document.createElement("span"), { className: "xp-percent", textContent: percent(row[key]) });
        const words = Object.assign(document.createElement("span"), { textContent: label(view, key), dir: "auto" });
        entry.append(share, words);
        list.append(entry);
      }
      const head = document.createElement("div");
      const total = row.reduce((sum, value) => sum + value, 0);
      const bold = Object.assign(document.createElement("strong"), { textContent: label(view, place), dir: "auto" });
      head.append("From ", bold, state.term === "pattern" ? " to:" : ` (${percent(total)} of the row by this query) to:`);
      sides[number].querySelector(".xp-row").replaceChildren(head, list);
      if (number === from) said.push(`From ${label(view, place)}: ${best.slice(0, 3).map((key) => `${percent(row[key])} ${label(view, key)}`).join(", ")}`);
      paint(number, view, place);
    });
    if (focus) $("live").textContent = said.join(". ");
  }

  function paint(number, view, place) {
    const canvas = sides[number].querySelector("canvas");
    const strip = Math.max(1, Math.round(view.size / 24));
    const cell = Math.max(2, Math.floor(520 / (view.size + strip)));
    canvas.width = canvas.height = cell * (view.size + strip);
    const pen = canvas.getContext("2d");
    const night = dark();
    pen.fillStyle = night ? "#101114" : "#ffffff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    let top = 1e-9;
    for (const value of view.weights) top = Math.max(top, value);
    for (let query = 0; query < view.size; query++) {
      for (let key = 0; key < view.size; key++) {
        const value = view.weights[query * view.size + key];
        if (value <= 0) continue;
        pen.fillStyle = `rgba(${night ? "255,159,77" : "168,62,0"},${Math.sqrt(value / top).toFixed(3)})`;
        pen.fillRect((key + strip) * cell, (query + strip) * cell, cell, cell);
      }
      const slot = state.level === "unit" ? query : view.item.slots[query];
      pen.fillStyle = language(view.item, slot)?.colour ?? (night ? "#555" : "#ccc");
      if (night && pen.fillStyle === "#222222") pen.fillStyle = "#dddddd";
      pen.fillRect(0, (query + strip) * cell, strip * cell - 2, cell);
      pen.fillRect((query + strip) * cell, 0, cell, strip * cell - 2);
    }
    pen.strokeStyle = night ? "#fff" : "#000";
    pen.lineWidth = 2;
    pen.strokeRect(strip * cell, (place + strip) * cell + 1, view.size * cell - 1, cell - 2);
    canvas.dataset.strip = strip;
    canvas.setAttribute("aria-label", `Attention map, ${view.size} by ${view.size}: rows are queries, columns are keys. The row of ${label(view, place)} is framed.`);
  }

  sides.forEach((element, number) => {
    const text = element.querySelector(".xp-text");
    const choose = (place, focus) => {
      state.at = at(shown[number], place);
      mark(focus, number);
    };
    const placed = (event) => event.target.closest?.(".xp-slot")?.dataset.place;
    const follow = (event) => placed(event) !== undefined && event.target.closest("[data-place]").getAttribute("aria-selected") !== "true" && choose(Number(placed(event)), false);
    // A page that scrolls under a resting pointer "moves" it too, by nothing: that must not undo what a key chose.
    text.addEventListener("mousemove", (event) => (event.movementX || event.movementY) && follow(event));
    text.addEventListener("focusin", follow);
    text.addEventListener("click", (event) => placed(event) !== undefined && choose(Number(placed(event)), true));
    text.addEventListener("keydown", (event) => {
      const view = shown[number];
      if (!view || placed(event) === undefined) return;
      const rightToLeft = getComputedStyle(event.target).direction === "rtl";
      const steps = { ArrowDown: 1, ArrowUp: -1, ArrowRight: rightToLeft ? -1 : 1, ArrowLeft: rightToLeft ? 1 : -1 };
      const place = Number(placed(event));
      const next = event.key === "Home" ? 0 : event.key === "End" ? view.size - 1 : event.key in steps ? Math.min(view.size - 1, Math.max(0, place + steps[event.key])) : null;
      if (next === null) return;
      event.preventDefault();
      choose(next, true);
    });
    const canvas = element.querySelector("canvas");
    canvas.addEventListener("mousemove", (event) => {
      const view = shown[number];
      if (!view) return;
      const strip = Number(canvas.dataset.strip);
      const row = Math.floor((event.offsetY / canvas.clientHeight) * (view.size + strip)) - strip;
      if (row >= 0 && row < view.size) choose(row, false);
    });
  });
  $("problem").addEventListener("change", (event) => { state.problem = Number(event.target.value); state.at = [0, 0]; draw(); });
  $("pair").addEventListener("change", (event) => { state.pair = event.target.value; draw(); });
  $("checkpoint").addEventListener("change", (event) => { state.checkpoint = Number(event.target.value); draw(); });
  $("layer").addEventListener("input", (event) => { state.layer = Number(event.target.value); draw(); });
  $("head").addEventListener("change", (event) => { state.head = event.target.value; draw(); });
  $("special").addEventListener("change", (event) => { state.special = event.target.checked; draw(); });
  for (const input of root.querySelectorAll("[name=xp-level]")) input.addEventListener("change", () => { state.level = input.value; draw(); });
  for (const input of root.querySelectorAll("[name=xp-term]")) input.addEventListener("change", () => { state.term = input.value; draw(); });
  root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => mark(false));
  const legend = $("legend");
  legend.append("Languages:");
  for (const tongue of Object.values(data.languages)) {
    const key = Object.assign(document.createElement("span"), { className: "xp-key" });
    key.style.background = colourOf(tongue);
    legend.append(key, tongue.name);
  }
  // The last question's row is what a classifier's answer rests on least plainly; the question itself is a good start.
  const start = data.items[0];
  state.at = [Math.max(...start.slotUnits), 0];
  state.layer = Math.floor(start.layers / 2);
  root.dataset.ready = "no";
  draw().then(() => { root.dataset.ready = "yes"; });
})();
