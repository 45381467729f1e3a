"use strict";
// Looks for news every few seconds and takes over only what has changed: nothing flickers, what is
// open stays open, and the focus stays where it is. Without scripts the page is whole, but still.

const EVERY_MS = 10000;
const status = document.getElementById("status");
let shown = null;

function say(text, bad) {
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("bad", Boolean(text) && bad);
}

function take(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const open = new Set([...document.querySelectorAll("details[open] > summary")].map((s) => s.id));
  const focus = document.activeElement && document.activeElement.id;
  for (const summary of fresh.querySelectorAll("summary")) {
    summary.parentElement.open = open.has(summary.id);
  }
  const main = document.getElementById("content");
  const wanted = [...fresh.getElementById("content").children];
  const known = new Map([...main.children].map((child) => [child.id, child]));
  for (const child of wanted) {
    const old = known.get(child.id);
    known.delete(child.id);
    if (!old) main.append(child);
    else if (old.outerHTML !== child.outerHTML) old.replaceWith(child);
    else main.append(old);
  }
  for (const gone of known.values()) gone.remove();
  // Those that were replaced in place stand before those that were appended: put all in order.
  for (const child of wanted) main.append(document.getElementById(child.id));
  if (focus && document.activeElement.id !== focus) {
    const again = document.getElementById(focus);
    if (again) again.focus();
  }
}

async function look() {
  try {
    const answer = await fetch(location.href, { cache: "no-cache" });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    const text = await answer.text();
    if (text !== shown) {
      take(text);
      shown = text;
    }
    if (status.classList.contains("bad")) say("", false);
  } catch {
    say(status.dataset.lost, true);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-command]");
  if (!button) return;
  button.disabled = true;
  const { command, rule, minutes } = button.dataset;
  const request = {};
  if (rule) request.rule = rule;
  if (minutes) request.minutes = Number(minutes);
  try {
    const answer = await fetch(`api/commands/${command}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
    const { text, error } = await answer.json();
    say(answer.ok ? status.dataset.done : `${status.dataset.failed} ${text || error}`, !answer.ok);
  } catch {
    say(status.dataset.lost, true);
  }
  button.disabled = false;
  await look();
});

setInterval(() => document.hidden || look(), EVERY_MS);
document.addEventListener("visibilitychange", () => document.hidden || look());
