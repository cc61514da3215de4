// The page to judge. Everything that comes from a drop or a node is put into the page as text, never as HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const WORDS = { r: "right", w: "wrong", s: "unsure" };
let token = "";
let answers = [];
let waiting = 0;
let isBusy = false;

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(`${content.message} ${content.remedy}`);
  return content;
}

async function open(each, claim, citation, below) {
  const place = new URLSearchParams({ case: each.case_id, slice: each.slice, depth: each.depth, claim, citation });
  try {
    const found = await ask(`/api/judge/cited?${place}`);
    const note = element("p", found.changed ? "The file was changed since." : "", { class: "small" });
    below.replaceChildren(note, element("pre", found.text));
  } catch (error) {
    below.replaceChildren(element("p", error.message, { class: "small" }));
  }
}

function cited(each, number, citation, at) {
  const box = element("div");
  const opened = element("div");
  const name = element("button", citation.place, { type: "button", class: "name" });
  name.addEventListener("click", () => open(each, number, at, opened));
  box.append(element("blockquote", citation.quote), name, opened);
  return box;
}

function claimed(each, claim, number) {
  const line = element("li");
  line.append(element("strong", claim.statement));
  claim.citations.forEach((citation, at) => line.append(cited(each, number, citation, at)));
  for (const query of claim.queries) line.append(element("pre", query));
  for (const test of claim.tests) line.append(element("p", test.said), element("pre", test.what));
  return line;
}

function show() {
  const each = answers[0];
  $("answer").hidden = !each;
  const rest = waiting === 1 ? "1 answer waits" : `${waiting} answers wait`;
  $("said").textContent = each ? `${rest} for a verdict.` : "No answer waits for a verdict.";
  if (!each) return;
  $("head").textContent = `${each.dataset}, ${each.depth}, by ${each.node}, confidence ${each.confidence.toFixed(2)}`;
  $("question").textContent = each.question;
  const isSaid = each.text === each.claims.map((claim) => claim.statement).join(" ");
  $("text").textContent = isSaid ? "" : each.text;
  $("claims").replaceChildren(...each.claims.map((claim, number) => claimed(each, claim, number)));
  $("why").textContent = `Why this one: ${each.why}.`;
  scrollTo(0, 0);
}

async function judge(word) {
  const each = answers[0];
  if (!each || isBusy) return;
  isBusy = true;
  try {
    const { case_id, slice, depth } = each;
    const body = JSON.stringify({ case_id, slice, depth, word });
    await ask("/api/judge", { method: "POST", headers: { "Content-Type": "application/json", "X-Mesh-Token": token }, body });
    answers.shift();
    waiting -= 1;
    if (answers.length || !waiting) show();
    else await load();
  } catch (error) {
    $("said").textContent = error.message;
  } finally {
    isBusy = false;
  }
}

async function load() {
  const found = await ask("/api/judge");
  ({ token, answers, waiting } = found);
  if (found.has_plots && $("plots").hidden) {
    for (const [name, text] of [["reliability", "Stated against right"], ["coverage", "Wrong by share that is kept"]]) {
      $("plots").append(element("img", "", { src: `/judge/${name}.svg`, alt: text }));
    }
    $("plots").hidden = false;
  }
  show();
}

async function start() {
  for (const word of Object.values(WORDS)) $(word).addEventListener("click", () => judge(word));
  document.addEventListener("keydown", (event) => {
    if (WORDS[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat) judge(WORDS[event.key]);
  });
  try {
    await load();
  } catch (error) {
    $("said").textContent = error.message;
  }
}

start();
