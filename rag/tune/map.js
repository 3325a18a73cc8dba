"use strict";
// Draws the map in #map from the JSON in #data. Words from documents become text nodes and nothing else.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("map"), pen = canvas.getContext("2d");
  const tip = document.getElementById("tip"), told = document.getElementById("told");
  const legend = document.getElementById("legend"), choices = document.getElementById("choices");
  const GRAIN = 9999, NAMED = 11, REACH = 14, MARGIN = 18;
  // Okabe & Ito's colours, which people with any kind of sight tell apart, and four more; the last one is for the rest.
  const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9",
    "#9a6cd6", "#8c8c00", "#b5566b", "#3aa6a6", "#a0714f", "#8a8f98"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const state = { method: data.layouts.length - 1, side: 0, by: "folder", hidden: new Set(), at: null };
  let view = { x: 0, y: 0, zoom: 1 };

  const both = data.names.length === 2;
  const arrows = () => both && state.side === 2;
  const places = () => data.layouts[state.method].sides[state.side === 1 ? 1 : 0];

  // --- what a dot belongs to -----------------------------------------------------------------------------------------
  const GROUPS = { folder: grouped(2, data.folders), kind: grouped(3, data.kinds) };

  function grouped(field, names) {  // the largest by name, the rest together
    const counts = names.map(() => 0);
    for (const spot of data.spots) counts[spot[field]] += 1;
    const order = names.map((_, i) => i).sort((a, b) => counts[b] - counts[a] || a - b);
    const few = names.length <= NAMED + 1 ? names.length : NAMED;
    const of = new Map(order.map((name, i) => [name, Math.min(i, few)]));
    const shown = order.slice(0, few).map(i => ({ name: names[i] || "(top)", count: counts[i] }));
    const rest = order.slice(few);
    if (rest.length) shown.push({ name: `${rest.length} more`, count: rest.reduce((sum, i) => sum + counts[i], 0) });
    return { shown, of: data.spots.map(spot => of.get(spot[field])) };
  }
  const groupOf = i => GROUPS[state.by].of[i];
  const visible = i => !state.hidden.has(groupOf(i));

  // --- from the map to the screen and back ---------------------------------------------------------------------------
  const side = () => Math.min(canvas.clientWidth, canvas.clientHeight) - 2 * MARGIN;
  function toScreen([x, y]) {
    const scale = side() / GRAIN * view.zoom;
    return [canvas.clientWidth / 2 + (x - GRAIN / 2) * scale + view.x,
      canvas.clientHeight / 2 - (y - GRAIN / 2) * scale + view.y];
  }
  function zoomTo(zoom, [x, y] = [canvas.clientWidth / 2, canvas.clientHeight / 2]) {
    const to = Math.min(Math.max(zoom, 1), 60), by = to / view.zoom;
    const fromX = x - canvas.clientWidth / 2, fromY = y - canvas.clientHeight / 2;
    view = to === 1 ? { x: 0, y: 0, zoom: 1 }
      : { x: fromX - (fromX - view.x) * by, y: fromY - (fromY - view.y) * by, zoom: to };
    draw();
  }

  // --- drawing -------------------------------------------------------------------------------------------------------
  let asked = false;
  function draw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }
  function paint() {
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const now = places(), radius = data.spots.length > 1500 ? 2.5 : 4;
    pen.globalAlpha = .8;
    now.spots.forEach((place, i) => visible(i) && dot(toScreen(place), radius, COLOURS[groupOf(i)]));
    pen.globalAlpha = 1;
    const ink = getComputedStyle(document.body).color;
    if (!state.hidden.has("queries")) paintQueries(now, ink);
    if (state.at) ring(toScreen(placeOf(state.at)), ink);
  }
  function paintQueries(now, ink) {
    if (!arrows()) return now.queries.forEach(place => cross(toScreen(place), ink));
    const [before, after] = data.layouts[state.method].sides;
    if (data.moved) {
      pen.globalAlpha = .25;
      before.spots.forEach((place, i) => visible(i) && arrow(toScreen(place), toScreen(after.spots[i]), ink));
      pen.globalAlpha = 1;
    }
    before.queries.forEach((place, i) => arrow(toScreen(place), toScreen(after.queries[i]), ink));
  }
  function dot([x, y], radius, colour) {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fill();
  }
  function ring([x, y], ink) {
    pen.strokeStyle = ink;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(x, y, 8, 0, 7);
    pen.stroke();
  }
  function cross([x, y], ink) {
    pen.strokeStyle = ink;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(x - 3.5, y - 3.5); pen.lineTo(x + 3.5, y + 3.5);
    pen.moveTo(x - 3.5, y + 3.5); pen.lineTo(x + 3.5, y - 3.5);
    pen.stroke();
  }
  function arrow([x, y], [toX, toY], ink) {
    const angle = Math.atan2(toY - y, toX - x), head = Math.min(6, Math.hypot(toX - x, toY - y) / 2);
    pen.strokeStyle = ink;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, y); pen.lineTo(toX, toY);
    for (const turn of [-.5, .5]) {
      pen.moveTo(toX, toY);
      pen.lineTo(toX - head * Math.cos(angle + turn), toY - head * Math.sin(angle + turn));
    }
    pen.stroke();
  }

  // --- what is pointed at: {what: "spots" or "queries", i} -----------------------------------------------------------
  const sideOf = what => arrows() && what === "queries" ? data.layouts[state.method].sides[1] : places();
  const placeOf = at => sideOf(at.what)[at.what][at.i];
  function dots() {
    const found = data.spots.map((_, i) => ({ what: "spots", i })).filter(at => visible(at.i));
    return state.hidden.has("queries") ? found : found.concat(data.queries.map((_, i) => ({ what: "queries", i })));
  }
  function nearest(x, y) {
    let best = null, least = REACH * REACH;
    for (const at of dots()) {
      const [a, b] = toScreen(placeOf(at)), distance = (a - x) ** 2 + (b - y) ** 2;
      if (distance < least) [best, least] = [at, distance];
    }
    return best;
  }
  function towards(dx, dy) {  // the nearest one in that direction, as a person sees it
    if (!state.at) return nearestToMiddle();
    const [x, y] = toScreen(placeOf(state.at));
    let best = null, least = Infinity;
    for (const at of dots()) {
      const [a, b] = toScreen(placeOf(at)), along = (a - x) * dx + (b - y) * dy;
      const cost = along + 3 * Math.abs((a - x) * dy - (b - y) * dx);
      if (along > .5 && cost < least) [best, least] = [at, cost];
    }
    return best || state.at;
  }
  function nearestToMiddle() {
    const x = canvas.clientWidth / 2, y = canvas.clientHeight / 2;
    const far = at => { const [a, b] = toScreen(placeOf(at)); return (a - x) ** 2 + (b - y) ** 2; };
    return dots().reduce((best, at) => !best || far(at) < far(best) ? at : best, null);
  }
  function point(at, aloud) {
    state.at = at;
    tip.hidden = !at;
    if (at) {
      const lines = described(at);
      tip.replaceChildren(...lines.map(([tag, words]) => element(tag, words)));
      const [x, y] = toScreen(placeOf(at)), wide = tip.offsetWidth, high = tip.offsetHeight;
      const left = x + 14 + wide < canvas.clientWidth ? x + 14 : Math.max(x - 14 - wide, 0);
      const top = Math.min(Math.max(y + 14, 0), Math.max(canvas.clientHeight - high, 0));
      tip.style.transform = `translate(${left}px, ${top}px)`;
      if (aloud) told.textContent = lines.map(([, words]) => words).join(". ");
    }
    draw();
  }
  function described({ what, i }) {
    if (what === "queries") {
      return [["b", data.queries[i]], ["small", `a query, answered by: ${data.spots[data.answers[i]][0]}`]];
    }
    const [title, words, folder, kind] = data.spots[i];
    return [["b", title], ["span", words], ["small", `${data.kinds[kind]} · ${data.folders[folder] || "(top)"}`]];
  }

  // --- what a person does --------------------------------------------------------------------------------------------
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in STEPS) point(towards(...STEPS[event.key]), true);
    else if (event.key === "+" || event.key === "=") zoomTo(view.zoom * 1.5, middle());
    else if (event.key === "-") zoomTo(view.zoom / 1.5, middle());
    else if (event.key === "0") zoomTo(1);
    else if (event.key === "Escape") point(null);
    else return;
    event.preventDefault();
  });
  const middle = () => state.at ? toScreen(placeOf(state.at)) : undefined;
  const fingers = new Map();
  const where = event => [event.offsetX, event.offsetY];
  const spread = () => { const [[a, b], [c, d]] = fingers.values(); return Math.hypot(a - c, b - d); };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, where(event));
    if (fingers.size === 1) point(nearest(...where(event)), event.pointerType !== "mouse");
  });
  canvas.addEventListener("pointermove", event => {
    const last = fingers.get(event.pointerId), now = where(event);
    if (!last) return point(nearest(...now));
    if (fingers.size === 2) {
      const before = spread();
      fingers.set(event.pointerId, now);
      zoomTo(view.zoom * spread() / (before || 1), now);
    } else {
      fingers.set(event.pointerId, now);
      view = { ...view, x: view.x + now[0] - last[0], y: view.y + now[1] - last[1] };
      if (state.at) point(state.at); else draw();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, event => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") point(null); });
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-event.deltaY / 400), where(event));
  }, { passive: false });
  new ResizeObserver(draw).observe(canvas);
  dark.addEventListener("change", draw);

  // --- choices and the legend ----------------------------------------------------------------------------------------
  function element(tag, words, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = words;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }
  function choice(title, name, options, chosen, then) {
    const set = document.createElement("fieldset");
    set.append(element("legend", title));
    options.forEach(([value, words]) => {
      const label = element("label", ""), input = element("input", "", { type: "radio", name, value });
      input.checked = value === chosen;
      input.addEventListener("change", () => { then(value); point(null); list(); });
      label.append(input, words);
      set.append(label);
    });
    choices.append(set);
  }
  function list() {
    const entries = GROUPS[state.by].shown.map(({ name, count }, i) => [i, `${name} (${count})`, COLOURS[i]]);
    if (data.queries.length) entries.push(["queries", `queries (${data.queries.length})`, "currentColor"]);
    legend.replaceChildren(...entries.map(([key, words, colour]) => {
      const button = element("button", "", { type: "button", "aria-pressed": String(!state.hidden.has(key)) });
      const mark = element("i", "", { "aria-hidden": "true" });
      mark.style.background = colour;
      button.append(mark, words);
      button.addEventListener("click", () => {
        if (!state.hidden.delete(key)) state.hidden.add(key);
        button.setAttribute("aria-pressed", String(!state.hidden.has(key)));
        point(null);
      });
      return button;
    }));
    canvas.setAttribute("aria-label", `${data.layouts[state.method].method} of ${data.spots.length} passages`);
    draw();
  }
  choices.addEventListener("submit", event => event.preventDefault());
  choice("Layout", "method", data.layouts.map((layout, i) => [i, layout.method]), state.method,
    value => { state.method = value; });
  if (both) {
    state.side = data.moved ? 0 : 2;
    choice("Show", "side", [[0, "before"], [1, "after"], [2, "what moved"]], state.side,
      value => { state.side = value; });
  }
  choice("Colours", "by", [["folder", "folder"], ["kind", "kind"]], state.by, value => {
    state.by = value;
    for (const key of [...state.hidden]) if (key !== "queries") state.hidden.delete(key);
  });
  list();
})();
