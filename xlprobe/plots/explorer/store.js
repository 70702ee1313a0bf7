// Stored patterns as numbers: roots of weights in whole steps, compressed per layer, read only when they are shown.
const xpStore = (data) => {
  const cache = new Map();

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // One layer's weights of one term, (head, query, key), by "unit" or "token".
  async function layer(item, level, term, number) {
    const key = [data.items.indexOf(item), level, term, number].join("/");
    if (cache.has(key)) return cache.get(key);
    const stored = item[level];
    let weights;
    if (stored[term]) {
      const steps = level === "unit" ? 255 : item.levels;
      weights = Float32Array.from(await unpack(stored[term][number]), (step) => (step / steps) ** 2);
    } else if (term === "pattern" || (term === "mono" && !stored.mono)) {
      // The whole is the sum of its two terms; where Q_cross is not at work, Q is the whole.
      if (stored.mono) {
        const [mono, cross] = [await layer(item, level, "mono", number), await layer(item, level, "cross", number)];
        weights = mono.map((value, place) => value + cross[place]);
      } else weights = await layer(item, level, "pattern", number);
    } else {
      weights = new Float32Array((await layer(item, level, "pattern", number)).length);
    }
    if (cache.size > 300) cache.clear();
    cache.set(key, weights);
    return weights;
  }

  // Weights between words: summed over a word's keys, averaged over its queries.
  function byWord(weights, item) {
    const [tokens, words] = [item.tokens.length, Math.max(...item.words) + 1];
    const lengths = new Float32Array(words);
    for (const word of item.words) lengths[word] += 1;
    const pooled = new Float32Array(item.heads * words * words);
    for (let head = 0; head < item.heads; head++)
      for (let query = 0; query < tokens; query++) {
        const [from, to] = [(head * tokens + query) * tokens, (head * words + item.words[query]) * words];
        for (let key = 0; key < tokens; key++) pooled[to + item.words[key]] += weights[from + key] / lengths[item.words[query]];
      }
    return pooled;
  }

  const levelOf = (level) => (level === "unit" ? "unit" : "token");
  const all = async (item, level, term, number) => {
    const weights = await layer(item, levelOf(level), term, number);
    return level === "word" ? byWord(weights, item) : weights;
  };

  // The slot (sentence or special token) of every place of a level.
  function slotsOf(item, level) {
    if (level === "unit") return item.slotTexts.map((_, slot) => slot);
    if (level === "token") return item.slots;
    const slots = [];
    item.words.forEach((word, place) => (slots[word] = item.slots[place]));
    return slots;
  }

  // A level's matrix of one head, or the mean of all: {item, size, weights, slots, special}. Without special tokens each
  // row is divided by what the whole pattern leaves to the others.
  async function matrix(item, { level, term, layer: number, head, special: leaveOut }) {
    const slots = slotsOf(item, level);
    const size = slots.length;
    const special = slots.map((slot) => item.slotUnits[slot] < 0);
    const [shown, whole] = [await all(item, level, term, number), await all(item, level, "pattern", number)];
    const heads = head === "mean" ? [...Array(item.heads).keys()] : [Number(head)];
    const weights = new Float32Array(size * size);
    for (const one of heads)
      for (let query = 0; query < size; query++) {
        const start = (one * size + query) * size;
        let left = 0;
        for (let key = 0; key < size; key++) if (!(leaveOut && special[key])) left += whole[start + key];
        const scale = left > 1e-6 ? 1 / left : 0;
        for (let key = 0; key < size; key++)
          if (!(leaveOut && special[key])) weights[query * size + key] += (shown[start + key] * scale) / heads.length;
      }
    return { item, size, weights, slots, special };
  }

  return { matrix };
};

// How far two heads' sentence maps are apart, and how much of a map crosses from context to question and back.
const xpNumbers = {
  stability(one, other) {
    if (one.size !== other.size) return NaN;
    let [total, rows] = [0, 0];
    for (let query = 0; query < one.size; query++) {
      if (one.special[query]) continue;
      let [a, b] = [0, 0];
      const cells = [];
      for (let key = 0; key < one.size; key++) {
        if (one.special[key]) continue;
        cells.push([one.weights[query * one.size + key], other.weights[query * one.size + key]]);
        a += cells.at(-1)[0];
        b += cells.at(-1)[1];
      }
      if (!(a > 0 && b > 0)) continue;
      const term = (value, mean) => (value > 0 ? value * Math.log2(value / mean) : 0);
      total += cells.reduce((sum, [x, y]) => sum + 0.5 * (term(x / a, (x / a + y / b) / 2) + term(y / b, (x / a + y / b) / 2)), 0);
      rows += 1;
    }
    return rows ? 1 - total / rows : NaN;
  },
  crossing(view) {
    let [across, text] = [0, 0];
    for (let query = 0; query < view.size; query++)
      for (let key = 0; key < view.size; key++) {
        if (view.special[query] || view.special[key]) continue;
        const weight = view.weights[query * view.size + key];
        text += weight;
        if (view.item.slotSegments[view.slots[query]] !== view.item.slotSegments[view.slots[key]]) across += weight;
      }
    return text > 0 ? across / text : NaN;
  },
};
