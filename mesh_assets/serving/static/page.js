// The search page. Everything that comes from a drop is put into the page as text, never as HTML.
"use strict";

const PER_PAGE = 10;
const MOST_DRAWN = 16;
const $ = (id) => document.getElementById(id);
let found = null;
let page = 0;
let asked = 0;
const MOST_ASKED = 100;
let offset = 0;
let span = null;
const chosen = { dataset: null, kind: null, path: null, after: null, before: null };

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawn(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// One word of a shell, whatever is in it: who pastes the command runs no more than that.
function shellWord(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function ask(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  const answer = await fetch(`${path}?${query}`);
  const content = await answer.json();
  if (!answer.ok) throw new Error(`${content.message} ${content.remedy}`);
  return content;
}

// `text` with words of the query marked.
function marked(text, words) {
  const line = element("span");
  const parts = words.length
    ? text.split(new RegExp(`\\b(${words.map((word) => word.replace(/[^\w]/g, "\\$&")).join("|")})`, "giu"))
    : [text];
  parts.forEach((part, at) => line.append(at % 2 ? element("mark", part) : part));
  return line;
}

function facet(id, name, counts, of = (value) => value) {
  const box = $(id);
  box.hidden = !Object.keys(counts).length && !chosen[name];
  box.querySelectorAll("label").forEach((label) => label.remove());
  for (const [value, count] of [["", null], ...Object.entries(counts)]) {
    const label = element("label");
    const choice = element("input", "", { type: "radio", name });
    choice.checked = (chosen[name] ?? "") === (value && of(value));
    choice.addEventListener("change", () => {
      chosen[name] = value ? of(value) : null;
      search();
    });
    label.append(choice, value ? ` ${value} (${count})` : " all");
    box.append(label);
  }
}

// The hits that the time sliders leave.
function within() {
  const times = found.hits.map((hit) => Date.parse(hit.time)).filter((time) => !Number.isNaN(time));
  $("times").hidden = times.length < 2 && !chosen.after;
  $("ever").hidden = !chosen.after;
  $("only").hidden = times.length < 2;
  if (times.length < 2) return found.hits;
  const first = Math.min(...times);
  const last = Math.max(...times);
  const at = (percent) => first + ((last - first) * percent) / 100;
  const [start, stop] = [Math.min, Math.max].map((end) => at(end($("from").value, $("to").value)));
  span = [start, stop];
  const shown = (time) => new Date(time).toISOString().slice(0, 16).replace("T", " ");
  $("span").textContent = `${shown(start)} to ${shown(stop)} UTC`;
  histogram(times, first, last, start, stop);
  if (start <= first && stop >= last) return found.hits;
  return found.hits.filter((hit) => hit.time && Date.parse(hit.time) >= start && Date.parse(hit.time) <= stop);
}

function histogram(times, first, last, start, stop) {
  const bins = new Array(40).fill(0);
  for (const time of times) bins[Math.min(39, Math.floor((40 * (time - first)) / Math.max(last - first, 1)))] += 1;
  const most = Math.max(...bins);
  $("histogram").replaceChildren(
    ...bins.map((count, at) => {
      const time = first + ((last - first) * (at + 0.5)) / 40;
      const opacity = time >= start && time <= stop ? 1 : 0.3;
      return drawn("rect", { x: at * 5, y: 40 - (40 * count) / most, width: 4, height: (40 * count) / most, opacity });
    }),
  );
}

function show() {
  const hits = within();
  const pages = Math.max(1, Math.ceil(hits.length / PER_PAGE));
  page = Math.min(page, pages - 1);
  const count = hits.length === 1 ? "1 hit" : `${hits.length} hits`;
  const some = `${count}${offset ? ` from hit ${offset + 1} on` : found.more ? ", the best" : ""}.`;
  const said = found.failed ? [] : [hits.length ? some : "Nothing found."];
  $("said").textContent = [...said, ...found.notes].join(" ");
  $("page").textContent = `${page + 1} of ${pages}`;
  $("previous").disabled = page === 0 && offset === 0;
  $("next").disabled = page >= pages - 1 && !found.more;
  $("hits").replaceChildren(...hits.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(entry));
}

function entry(hit) {
  const item = element("li", "", { tabindex: "0", role: "option", "aria-selected": "false" });
  const symbol = hit.symbol ? ` · ${hit.symbol}` : "";
  if (hit.picture) item.append(element("img", "", { src: hit.picture, alt: "", loading: "lazy" }));
  item.append(element("div", `${hit.dataset}/${hit.path}, ${hit.place}${symbol}`, { class: "place" }));
  item.append(marked(hit.snippet, found.words));
  const why = element("div", `${hit.why}${hit.time ? ` · ${hit.time.slice(0, 19).replace("T", " ")}` : ""} · `, { class: "why" });
  why.append(element("a", `slice ${hit.slice}`, { href: hit.asset_url, target: "_blank", rel: "noopener" }));
  item.append(why);
  if (hit.others.length) {
    const more = hit.others.length > 3 ? ` and ${hit.others.length - 3} more` : "";
    item.append(element("div", `the same in ${hit.others.slice(0, 3).join(", ")}${more}`, { class: "why" }));
  }
  const open = () => around(hit.chunk_id, hit, item);
  item.addEventListener("click", (event) => event.target.tagName === "A" || open());
  item.addEventListener("keydown", (event) => {
    const other = { ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling }[event.key];
    if (event.key === "Enter" && event.target === item) open();
    if (other) {
      other.focus();
      event.preventDefault();
    }
  });
  return item;
}

async function around(chunk, hit, item) {
  const box = $("around");
  for (const each of $("hits").children) each.setAttribute("aria-selected", String(each === item));
  let got;
  try {
    got = await ask("/api/around", { chunk, slice: hit.slice });
  } catch (error) {
    box.replaceChildren(element("p", error.message));
    box.hidden = false;
    return;
  }
  box.replaceChildren(element("h2", `${hit.path}, ${hit.place}`));
  if (got.picture) box.append(element("img", "", { src: got.picture, alt: hit.snippet }));
  const text = element("pre");
  text.append(marked(got.text, found.words));
  box.append(text);
  const steps = element("p");
  for (const [label, other] of [["Just before", got.before], ["Just after", got.behind]]) {
    if (!other) continue;
    const button = element("button", label, { type: "button" });
    button.addEventListener("click", () => around(other, { ...hit, place: label.toLowerCase(), chunk_id: other }, null));
    steps.append(button, " ");
  }
  box.append(steps, element("p", `mesh show ${shellWord(hit.citation)}`, { class: "small" }));
  if (got.steps.length) box.append(element("h3", "Around this"), neighbourhood(got), neighbours(got));
  if (hit.time) box.append(element("h3", "At that time"), await happened(hit));
  box.hidden = false;
}

const WORDS = {
  defines: ["defines", "defined by"],
  calls: ["calls", "called by"],
  imports: ["imports", "imported by"],
  mentions: ["mentions", "mentioned by"],
  related: ["related to", "related to"],
};

function named(vertex) {
  return vertex.name.length > 60 ? `${vertex.name.slice(0, 59)}…` : vertex.name;
}

function neighbours(got) {
  const list = element("ul");
  const names = new Map(got.vertices.map((vertex) => [vertex.vertex_id, vertex.name]));
  for (const step of got.steps) {
    const from = names.get(step.from_id) ?? "this";
    const word = (WORDS[step.type] ?? [step.type, step.type])[step.is_outgoing ? 0 : 1];
    const where = step.vertex.path && step.vertex.path !== step.vertex.name ? ` (${step.vertex.path})` : "";
    const line = element("li", `${from} ${word} `, { class: "small" });
    const name = element("button", named(step.vertex), { type: "button", class: "name" });
    name.addEventListener("click", () => searchFor(step.vertex.name, "graph"));
    line.append(name, where);
    list.append(line);
  }
  return list;
}

// The neighbourhood as a small graph: this in the middle, what it holds and what that touches on a circle.
function neighbourhood(got) {
  const svg = drawn("svg", { viewBox: "-220 -150 440 300", role: "img", "aria-label": "Neighbourhood" });
  const places = new Map([[got.chunk_id, [0, 0]]]);
  const names = new Map([[got.chunk_id, "this"]]);
  for (const vertex of [...got.vertices, ...got.steps.map((step) => step.vertex)]) {
    if (names.size < MOST_DRAWN && !names.has(vertex.vertex_id)) names.set(vertex.vertex_id, named(vertex).slice(0, 24));
  }
  const others = [...names.keys()].filter((id) => id !== got.chunk_id);
  others.forEach((id, at) => {
    const angle = (2 * Math.PI * at) / others.length;
    places.set(id, [150 * Math.cos(angle), 115 * Math.sin(angle)]);
  });
  const held = got.vertices.map((vertex) => ({ from_id: got.chunk_id, vertex }));
  for (const step of [...held, ...got.steps]) {
    const from = places.get(step.from_id);
    const to = places.get(step.vertex.vertex_id);
    if (from && to) svg.append(drawn("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }));
  }
  for (const [id, [x, y]] of places) {
    svg.append(drawn("circle", { cx: x, cy: y, r: id === got.chunk_id ? 7 : 4 }));
    svg.append(drawn("text", { x, y: y - 8, "text-anchor": "middle" }, names.get(id)));
  }
  return svg;
}

async function happened(hit) {
  const list = element("ul");
  for (const moment of await ask("/api/moments", { near: hit.time, seconds: 60, dataset: hit.dataset })) {
    const value = moment.value === null ? "" : ` = ${moment.value}`;
    const said = `${moment.time.slice(0, 19).replace("T", " ")} ${moment.level ?? ""} ${moment.said ?? ""}${value} (${moment.path})`;
    list.append(element("li", said, { class: "small" }));
  }
  return list;
}

function searchFor(query, mode) {
  $("query").value = query;
  $("mode").value = mode;
  for (const field of Object.keys(chosen)) chosen[field] = null;
  search();
}

async function search(from = 0) {
  const q = $("query").value.trim();
  const mode = $("mode").value;
  history.replaceState(null, "", `?${new URLSearchParams({ q, mode })}`);
  if (!q) return;
  const turn = (asked += 1);
  $("said").textContent = "Searching …";
  try {
    const got = await ask("/api/search", { q, mode, limit: MOST_ASKED, offset: from, ...chosen });
    if (turn !== asked) return;
    found = got;
  } catch (error) {
    if (turn !== asked) return;
    // What was found before is no answer to this.
    found = { failed: true, hits: [], words: [], notes: [error.message], datasets: {}, kinds: {}, folders: {}, more: false };
  }
  offset = from;
  page = 0;
  $("around").hidden = true;
  facet("datasets", "dataset", found.datasets);
  facet("kinds", "kind", found.kinds);
  facet("folders", "path", found.folders, (folder) => `${folder.replace(/[*?[]/g, "[$&]")}/*`);
  $("from").value = 0;
  $("to").value = 100;
  show();
}

// The next or previous page; where these hits end, the next or previous ones are asked for.
async function turnPage(by) {
  const pages = Math.max(1, Math.ceil(within().length / PER_PAGE));
  if (page + by < 0 || page + by >= pages) {
    await search(offset + by * MOST_ASKED);
    if (by < 0) page = Math.ceil(found.hits.length / PER_PAGE) - 1;
  } else page += by;
  show();
}

async function start() {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    searchFor($("query").value, $("mode").value);
  });
  for (const id of ["from", "to"]) $(id).addEventListener("input", show);
  for (const [id, by] of [["previous", -1], ["next", 1]]) {
    $(id).addEventListener("click", () => turnPage(by));
  }
  $("only").addEventListener("click", () => {
    // A moment of a chunk is told to the microsecond, and the end is exclusive.
    chosen.after = new Date(Math.floor(span[0])).toISOString();
    chosen.before = new Date(Math.ceil(span[1]) + 1).toISOString();
    search();
  });
  $("ever").addEventListener("click", () => {
    chosen.after = chosen.before = null;
    search();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== $("query")) {
      $("query").focus();
      event.preventDefault();
    }
  });
  for (const report of await ask("/api/reports")) {
    $("reports").append(element("a", `Report of ${report.dataset}`, { href: report.url }));
  }
  const before = new URLSearchParams(location.search);
  const modes = [...$("mode").options].map((option) => option.value);
  if (before.get("q")) searchFor(before.get("q"), modes.includes(before.get("mode")) ? before.get("mode") : "hybrid");
}

start();
