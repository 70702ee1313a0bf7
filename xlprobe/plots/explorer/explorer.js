// The attention explorer's state and controls.
(() => {
  "use strict";
  const root = document.getElementById("xp");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const $ = (name) => document.getElementById(`xp-${name}`);
  const sides = [...root.querySelectorAll(".xp-side")];
  const store = xpStore(data);
  const draw = xpDraw(data, root);
  const state = {
    problem: 0, compare: "languages", pair: "", checkpoint: 0, checkpoint2: Math.min(1, data.checkpoints.length - 1),
    layer: 0, layer2: 0, head: "mean", head2: "0", level: "token", direction: "out", term: "pattern", special: true, order: "place", zoom: 1,
    at: [[0, 0]], // the chosen places: a unit (below 0: a special token's slot) and which of its tokens or words
  };
  const NUMBERS = ["problem", "checkpoint", "checkpoint2", "layer", "layer2", "zoom"];
  const CHOICES = { compare: ["languages", "checkpoints", "heads"], level: ["token", "word", "unit"], direction: ["out", "in"], term: ["pattern", "mono", "cross"], order: ["place", "stability", "crossing"] };
  const shown = [null, null];
  let [turn, held, overviewOf] = [0, false, ""];

  const itemOf = (checkpoint, context, question) =>
    data.items.find((one) => one.problem === state.problem && one.checkpoint === data.checkpoints[checkpoint] && one.context === context && one.question === question);

  // What the two sides show: the item and the layer and head of each.
  function wanted() {
    const [context, question] = state.pair.split("-");
    const second = state.compare === "checkpoints" ? state.checkpoint2 : state.checkpoint;
    const own = { layer: state.layer, head: state.head };
    return [
      { item: itemOf(state.checkpoint, context, state.compare === "languages" ? context : question), ...own },
      { item: itemOf(second, context, question), ...(state.compare === "heads" ? { layer: state.layer2, head: state.head2 } : own) },
    ];
  }

  function options(select, entries, chosen) {
    select.replaceChildren(...entries.map(([value, text]) => Object.assign(document.createElement("option"), { value, textContent: text, selected: String(value) === String(chosen) })));
  }

  function pairsHere() {
    const here = data.items.filter((one) => one.problem === state.problem && one.checkpoint === data.checkpoints[state.checkpoint]);
    const pairs = [...new Set(here.map((one) => `${one.context}-${one.question}`))];
    const switched = pairs.filter((pair) => pair.split("-")[0] !== pair.split("-")[1]);
    return switched.length && state.compare === "languages" ? switched : pairs;
  }

  function checked(name, allowed) {
    for (const input of root.querySelectorAll(`[name=xp-${name}]`)) {
      input.disabled = !allowed(input.value);
      if (input.disabled && state[name] === input.value) state[name] = name === "term" ? "pattern" : "unit";
    }
    for (const input of root.querySelectorAll(`[name=xp-${name}]`)) input.checked = input.value === state[name];
  }

  function controls() {
    state.problem = Math.min(state.problem, data.problems.length - 1);
    for (const name of ["checkpoint", "checkpoint2"]) state[name] = Math.min(state[name], data.checkpoints.length - 1);
    const pairs = pairsHere();
    if (!pairs.includes(state.pair)) state.pair = pairs[0];
    const named = (pair) => `${pair.split("-").map((code) => data.languages[code].name).join(" – ")} (${pair.replace("-", "–")})`;
    options($("problem"), data.problems.map((one, number) => [number, one.label]), state.problem);
    options($("pair"), pairs.map((pair) => [pair, named(pair)]), state.pair);
    for (const name of ["checkpoint", "checkpoint2"]) options($(name), data.checkpoints.map((text, number) => [number, text]), state[name]);
    $("compare").querySelector("[value=checkpoints]").disabled = data.checkpoints.length < 2;
    for (const element of root.querySelectorAll("[data-for]")) element.hidden = element.dataset.for !== state.compare;
    const items = wanted().map((one) => one.item).filter(Boolean);
    const [first] = items;
    for (const name of ["layer", "layer2"]) {
      state[name] = Math.min(state[name], first.layers - 1);
      $(name).max = first.layers - 1;
      $(name).value = state[name];
      $(`${name}-shown`).textContent = state[name];
    }
    for (const name of ["head", "head2"]) {
      if (state[name] !== "mean" && !(Number(state[name]) < first.heads)) state[name] = "mean";
      options($(name), [["mean", "mean of all"], ...Array.from({ length: first.heads }, (_, head) => [head, head])], state[name]);
    }
    const byToken = items.some((one) => one.token);
    checked("level", (value) => value === "unit" || byToken);
    checked("direction", () => true);
    checked("term", (value) => value === "pattern" || items.some((one) => one.crossed));
    for (const name of ["compare", "order", "zoom"]) $(name).value = state[name];
    $("special").checked = state.special;
    const notes = [];
    if (!byToken) notes.push("This problem is here by sentence only, to keep the file small; open it in a notebook with xlprobe.explore to see its tokens.");
    else if (state.level !== "unit" && Math.min(...items.filter((one) => one.token).map((one) => one.levels)) < 255) {
      const steps = Math.min(...items.filter((one) => one.token).map((one) => one.levels));
      notes.push(`Weights by token are kept in ${steps} steps to save space: a weight of 10 % is right to ${(100 * Math.sqrt(0.1) / steps).toFixed(1)} points.`);
    }
    if (!items.some((one) => one.crossed)) notes.push("This checkpoint has one query, so there is nothing to split.");
    $("note").textContent = notes.join(" ");
  }

  function title(number, { item, layer, head }) {
    if (!item) return "this version was not kept";
    const [context, question] = [item.context, item.question].map((code) => data.languages[code].name);
    const tongues = item.context === item.question ? `In one language: ${context}` : `Across languages: ${context} context, ${question} question`;
    if (state.compare === "checkpoints") return `${item.checkpoint} · ${tongues}`;
    return state.compare === "heads" ? `Layer ${layer}, ${head === "mean" ? "mean of all heads" : `head ${head}`} · ${tongues}` : tongues;
  }

  async function side(number, one, token) {
    const element = sides[number];
    const hasData = one.item && (state.level === "unit" || one.item.token);
    const view = hasData ? await store.matrix(one.item, { ...state, layer: one.layer, head: one.head }) : null;
    if (token !== turn) return;
    element.querySelector("h2").textContent = title(number, one);
    if (!view) {
      shown[number] = null;
      element.querySelector(".xp-text").replaceChildren(one.item ? "This version is here by sentence only, to keep the file small." : "");
      element.querySelector(".xp-row").replaceChildren();
      element.querySelector("canvas").width = 0;
      return;
    }
    view.entries = draw.text(element.querySelector(".xp-text"), view, state.level);
    shown[number] = view;
  }

  async function refresh() {
    const token = ++turn;
    controls();
    try {
      const both = wanted();
      await Promise.all(both.map((one, number) => side(number, one, token)));
    } catch (error) {
      $("note").textContent = `This browser cannot unpack the data (${error.message}); a current one can.`;
      return;
    }
    if (token !== turn) return;
    mark(false);
    remember();
    if (root.querySelector(".xp-overview").open) overview(token);
  }

  // A chosen place (unit, which one) is what both sides have in common; on a side it is a row and a column.
  function placeOf(view, [unit, offset]) {
    let slot = unit < 0 ? -1 - unit : view.item.slotUnits.indexOf(unit);
    if (slot < 0 || slot >= view.item.slotTexts.length) slot = 0;
    const places = view.slots.flatMap((own, place) => (own === slot ? [place] : []));
    return places[Math.min(offset, places.length - 1)];
  }
  function keyOf(view, place) {
    const slot = view.slots[place];
    const unit = view.item.slotUnits[slot];
    return [unit < 0 ? -1 - slot : unit, place - view.slots.indexOf(slot)];
  }
  const same = (one, other) => one[0] === other[0] && one[1] === other[1];

  // Attention from the chosen places to each one, or from each one to them, summed over the chosen.
  function rowOf(view, chosen) {
    const row = new Float32Array(view.size);
    for (const place of chosen)
      for (let other = 0; other < view.size; other++) row[other] += view.weights[state.direction === "out" ? place * view.size + other : other * view.size + place];
    return row;
  }

  function mark(focus, from = 1) {
    const rows = shown.map((view) => {
      if (!view) return null;
      const chosen = [...new Set(state.at.map((key) => placeOf(view, key)))];
      return { chosen, row: rowOf(view, chosen) };
    });
    const top = Math.max(1e-9, ...rows.flatMap((one) => (one ? [one.row.reduce((most, value) => Math.max(most, value), 0)] : [])));
    const mapTop = Math.max(1e-9, ...shown.map((view) => (view ? view.weights.reduce((most, value) => Math.max(most, value), 0) : 0)));
    shown.forEach((view, number) => view && markSide(view, number, rows[number], { top, mapTop, focus: focus && number === from }));
    scales(top, mapTop);
  }

  function markSide(view, number, { chosen, row }, { top, mapTop, focus }) {
    const last = chosen.at(-1);
    view.entries.forEach((entry, place) => {
      entry.setAttribute("aria-selected", String(chosen.includes(place)));
      entry.tabIndex = place === last ? 0 : -1;
      entry.style.background = row[place] > 0 ? `rgb(var(--xp-heat) / ${(0.75 * Math.sqrt(row[place] / top)).toFixed(3)})` : "";
      entry.title = draw.percent(row[place]);
    });
    if (focus) view.entries[last].focus({ preventScroll: false });
    const words = chosen.map((place) => draw.label(view, place, state.level)).join(state.level === "unit" ? " + " : " ");
    const best = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, 5);
    const list = document.createElement("ol");
    for (const place of best) {
      const entry = document.createElement("li");
      entry.append(
        Object.assign(document.createElement("span"), { className: "xp-percent", textContent: draw.percent(row[place]) }),
        Object.assign(document.createElement("span"), { textContent: draw.label(view, place, state.level), dir: "auto" }),
      );
      list.append(entry);
    }
    const lead = document.createElement("div");
    const bold = Object.assign(document.createElement("strong"), { textContent: words, dir: "auto" });
    const notes = [];
    if (chosen.length > 1) notes.push(`summed over ${chosen.length}`);
    if (state.term !== "pattern") notes.push(`${draw.percent(row.reduce((sum, value) => sum + value, 0) / chosen.length)} of the row by this query`);
    const note = notes.length ? ` (${notes.join("; ")})` : "";
    if (state.direction === "out") lead.append("From ", bold, `${note} to:`);
    else lead.append("To ", bold, `${note} from:`);
    sides[number].querySelector(".xp-row").replaceChildren(lead, list);
    if (focus) $("live").textContent = `${state.direction === "out" ? "From" : "To"} ${words}: ${best.slice(0, 3).map((place) => `${draw.percent(row[place])} ${draw.label(view, place, state.level)}`).join(", ")}`;
    draw.map(sides[number].querySelector("canvas"), view, { top: mapTop, chosen, incoming: state.direction === "in", zoom: state.zoom, words });
  }

  function scales(top, mapTop) {
    $("scales").replaceChildren(
      ...[["text", top], ["map", mapTop]].map(([name, most]) => {
        const bar = Object.assign(document.createElement("div"), { className: `xp-scale xp-scale-${name}` });
        const words = (value) => Object.assign(document.createElement("span"), { textContent: draw.percent(value) });
        bar.append(`${name}: `, words(0), Object.assign(document.createElement("i"), { ariaHidden: "true" }), words(most), " (colour by root; the same on both sides)");
        return bar;
      }),
    );
  }

  async function overview(token) {
    const [left, right] = wanted();
    if (!left.item || !right.item) return;
    const about = [state.problem, left.item.checkpoint, left.item.question, right.item.checkpoint, state.pair, state.term, state.special, state.order, draw.night()].join("/");
    if (about !== overviewOf) {
      const found = [];
      for (let layer = 0; layer < right.item.layers; layer++)
        for (let head = 0; head < right.item.heads; head++) {
          const at = { level: "unit", term: state.term, layer, head: String(head), special: state.special };
          const [one, other] = [await store.matrix(left.item, at), await store.matrix(right.item, at)];
          if (token !== turn) return;
          found.push({ layer, head, view: other, stability: xpNumbers.stability(one, other), crossing: xpNumbers.crossing(other) });
        }
      const last = (value, up) => (Number.isNaN(value) ? Infinity : up * value);
      if (state.order === "stability") found.sort((a, b) => last(a.stability, 1) - last(b.stability, 1));
      if (state.order === "crossing") found.sort((a, b) => last(a.crossing, -1) - last(b.crossing, -1));
      const top = Math.max(1e-9, ...found.map((one) => one.view.weights.reduce((most, value) => Math.max(most, value), 0)));
      $("thumbs").replaceChildren(...found.map((one) => thumb(one, top)));
      $("thumbs").style.setProperty("--xp-columns", state.order === "place" ? right.item.heads : 12);
      overviewOf = about;
    }
    for (const button of $("thumbs").children) button.setAttribute("aria-pressed", String(Number(button.dataset.layer) === state.layer && button.dataset.head === String(state.head)));
  }

  function thumb({ layer, head, view, stability, crossing }, top) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "xp-thumb" });
    Object.assign(button.dataset, { layer, head });
    const canvas = document.createElement("canvas");
    draw.thumbnail(canvas, view, top);
    const told = state.order === "crossing" ? draw.percent(crossing) : state.order === "stability" ? stability.toFixed(2) : "";
    button.append(canvas, Object.assign(document.createElement("span"), { textContent: `${layer}·${head}${told ? ` ${told}` : ""}` }));
    button.title = `layer ${layer}, head ${head}: stability ${stability.toFixed(3)}, crossing ${draw.percent(crossing)}`;
    button.addEventListener("click", () => {
      Object.assign(state, { layer, head: String(head) });
      refresh();
    });
    return button;
  }

  // The view as a link: what is not as it is at first stands in the address.
  function link() {
    const words = new URLSearchParams();
    for (const name of [...NUMBERS, ...Object.keys(CHOICES), "pair", "head", "head2"]) words.set(name, state[name]);
    words.set("special", state.special ? "1" : "0");
    words.set("at", state.at.map((key) => key.join(".")).join("_"));
    return `#${words}`;
  }
  function remember() {
    try {
      history.replaceState(null, "", link());
    } catch {
      // A frame without an address, as in a notebook, remembers nothing.
    }
  }
  function recall() {
    const words = new URLSearchParams(location.hash.slice(1));
    for (const name of NUMBERS) if (Number.isFinite(Number(words.get(name) ?? NaN))) state[name] = Math.max(0, Number(words.get(name)));
    state.zoom = Math.min(6, Math.max(1, state.zoom));
    for (const [name, allowed] of Object.entries(CHOICES)) if (allowed.includes(words.get(name))) state[name] = words.get(name);
    for (const name of ["head", "head2"]) if (/^(mean|\d{1,3})$/.test(words.get(name) ?? "")) state[name] = words.get(name);
    if (words.has("pair")) state.pair = words.get("pair");
    if (words.has("special")) state.special = words.get("special") === "1";
    const at = (words.get("at") ?? "").split("_").map((key) => key.split(".").map(Number)).filter((key) => key.length === 2 && key.every(Number.isInteger));
    if (at.length) state.at = at;
    held = at.length > 0;
    return words.has("problem");
  }

  function download(kind, content) {
    const blob = content instanceof Blob ? content : new Blob([content], { type: { svg: "image/svg+xml", csv: "text/csv" }[kind] });
    const anchor = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `attention.${kind}` });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  }
  function picture() {
    const top = Math.max(1e-9, ...shown.map((view) => (view ? view.weights.reduce((most, value) => Math.max(most, value), 0) : 0)));
    const at = (one) => `${one.item?.checkpoint ?? ""}, layer ${one.layer}, ${one.head === "mean" ? "mean of heads" : `head ${one.head}`}`;
    return draw.svg(shown, wanted().map((one, number) => `${title(number, one)} (${at(one)})`), state.level, top);
  }
  function table() {
    const lines = ["checkpoint,context_language,question_language,layer,head,query_place,query,key_place,key,weight"];
    wanted().forEach((one, number) => {
      const view = shown[number];
      if (!view) return;
      const before = [view.item.checkpoint, view.item.context, view.item.question, one.layer, one.head].map(csvCell).join(",");
      const names = Array.from({ length: view.size }, (_, place) => csvCell(draw.label(view, place, state.level)));
      view.weights.forEach((weight, place) => lines.push(`${before},${Math.floor(place / view.size)},${names[Math.floor(place / view.size)]},${place % view.size},${names[place % view.size]},${weight.toFixed(5)}`));
    });
    return `${lines.join("\n")}\n`;
  }
  function png() {
    const image = new Image();
    image.onload = () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 2 * image.width, height: 2 * image.height });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => download("png", blob));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(picture())}`;
  }

  function choose(number, place, { add = false, focus = false } = {}) {
    const key = keyOf(shown[number], place);
    if (!add) state.at = [key];
    else if (state.at.some((one) => same(one, key)) && state.at.length > 1) state.at = state.at.filter((one) => !same(one, key));
    else state.at = [...state.at.filter((one) => !same(one, key)), key];
    mark(focus, number);
    remember();
  }

  sides.forEach((element, number) => {
    const text = element.querySelector(".xp-text");
    const placed = (event) => event.target.closest?.(".xp-slot")?.dataset.place;
    // A page that scrolls under a resting pointer "moves" it too, by nothing: that must not undo what a key chose.
    text.addEventListener("mousemove", (event) => {
      if (held || placed(event) === undefined || !(event.movementX || event.movementY)) return;
      if (event.target.closest("[data-place]").getAttribute("aria-selected") !== "true") choose(number, Number(placed(event)));
    });
    text.addEventListener("click", (event) => {
      if (placed(event) === undefined) return;
      held = true;
      choose(number, Number(placed(event)), { add: event.ctrlKey || event.metaKey || event.shiftKey || $("several").checked, focus: true });
    });
    text.addEventListener("keydown", (event) => {
      const view = shown[number];
      if (!view || placed(event) === undefined) return;
      const rightToLeft = getComputedStyle(event.target).direction === "rtl";
      const steps = { ArrowDown: 1, ArrowUp: -1, ArrowRight: rightToLeft ? -1 : 1, ArrowLeft: rightToLeft ? 1 : -1 };
      const place = Number(placed(event));
      if (event.key === "Escape") held = false;
      const next = event.key === "Home" ? 0 : event.key === "End" ? view.size - 1 : event.key in steps ? Math.min(view.size - 1, Math.max(0, place + steps[event.key])) : null;
      if (next === null) return;
      event.preventDefault();
      held = true;
      choose(number, next, { add: event.shiftKey, focus: true });
    });
    const canvas = element.querySelector("canvas");
    canvas.addEventListener("mousemove", (event) => {
      const view = shown[number];
      if (!view || held) return;
      const strip = Number(canvas.dataset.strip);
      const along = state.direction === "out" ? event.offsetY / canvas.clientHeight : event.offsetX / canvas.clientWidth;
      const place = Math.floor(along * (view.size + strip)) - strip;
      if (place >= 0 && place < view.size) choose(number, place);
    });
    canvas.addEventListener("click", () => { held = !held; });
  });

  const changed = (name, read) => (event) => {
    state[name] = read(event.target);
    refresh();
  };
  const number = (element) => Number(element.value);
  const value = (element) => element.value;
  for (const name of ["problem", "checkpoint", "checkpoint2"]) $(name).addEventListener("change", changed(name, number));
  for (const name of ["layer", "layer2", "zoom"]) $(name).addEventListener("input", changed(name, number));
  for (const name of ["compare", "pair", "head", "head2", "order"]) $(name).addEventListener("change", changed(name, value));
  for (const name of ["level", "direction", "term"]) for (const input of root.querySelectorAll(`[name=xp-${name}]`)) input.addEventListener("change", changed(name, value));
  $("special").addEventListener("change", changed("special", (element) => element.checked));
  $("problem").addEventListener("change", () => { state.at = [[0, 0]]; held = false; });
  $("svg").addEventListener("click", () => download("svg", picture()));
  $("csv").addEventListener("click", () => download("csv", table()));
  $("png").addEventListener("click", png);
  $("link").addEventListener("click", async () => {
    const address = location.href.split("#")[0] + link();
    try {
      await navigator.clipboard.writeText(address);
      $("live").textContent = $("note").textContent = "The link is in the clipboard.";
    } catch {
      $("note").textContent = address;
    }
  });
  root.querySelector(".xp-overview").addEventListener("toggle", (event) => event.target.open && overview(turn));
  root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh());
  addEventListener("hashchange", () => recall() && refresh());
  const legend = $("legend");
  legend.append("Languages:");
  for (const tongue of Object.values(data.languages)) {
    const key = Object.assign(document.createElement("span"), { className: "xp-key" });
    key.style.background = draw.ink(tongue);
    legend.append(key, tongue.name);
  }
  // The question is a good start: its attention is what the answer rests on.
  const start = data.items[0];
  state.at = [[Math.max(...start.slotUnits), 0]];
  state.layer = state.layer2 = Math.floor(start.layers / 2);
  recall();
  root.dataset.ready = "no";
  refresh().then(() => { root.dataset.ready = "yes"; });
})();
