// Relative times, Mermaid pictures, and live updates of the conversation. Without this script the page
// shows the same, with absolute times and the source of pictures.
"use strict";

const POLL_MS = 1000;
let mermaidLoading = null;
let pictures = 0;

function ago(seconds) {
  const steps = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [2592000, 86400, "day"]];
  if (seconds < 5) return "now";
  for (const [limit, unit, word] of steps) {
    if (seconds < limit) {
      const count = Math.floor(seconds / unit);
      return `${count} ${word}${count === 1 ? "" : "s"} ago`;
    }
  }
  return null;
}

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const text = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (text && time.textContent !== text) time.textContent = text;
  }
}

function loadMermaid() {
  if (!mermaidLoading) {
    mermaidLoading = new Promise((done) => {
      const script = document.createElement("script");
      script.src = "/_standin/assets/mermaid.js";
      script.onload = () => {
        window.mermaid.initialize({startOnLoad: false, securityLevel: "strict", theme: "default",
          fontFamily: getComputedStyle(document.body).fontFamily});
        done(window.mermaid);
      };
      script.onerror = () => done(null);
      document.head.appendChild(script);
    });
  }
  return mermaidLoading;
}

async function draw(block) {
  const source = block.textContent;
  const mermaid = await loadMermaid();
  if (!mermaid) return;
  try {
    const {svg} = await mermaid.render(`picture-${++pictures}`, source);
    block.innerHTML = svg;
    block.classList.add("drawn");
  } catch (error) {
    block.textContent = "Unable to render rich display\n\n" + error.message + "\n\n" + source;
    block.classList.add("failed");
  }
}

// A picture inside closed <details> has no size: it is drawn when it opens.
function drawPictures(root) {
  for (const block of root.querySelectorAll("pre.mermaid:not(.drawn):not(.failed):not(.waiting)")) {
    const folded = block.closest("details:not([open])");
    if (folded) {
      block.classList.add("waiting");
      folded.addEventListener("toggle", () => {
        block.classList.remove("waiting");
        drawPictures(folded);
      }, {once: true});
    } else {
      block.classList.add("waiting");
      draw(block);
    }
  }
}

function dress(root) {
  showTimes(root);
  drawPictures(root);
}

const sources = new Map();

function remember(root) {
  for (const part of root.querySelectorAll("[data-key]")) sources.set(part.dataset.key, part.outerHTML);
}

function replace(old, fresh) {
  const open = [...old.querySelectorAll("details")].map((item) => item.open);
  [...fresh.querySelectorAll("details")].forEach((item, index) => {
    if (open[index] !== undefined) item.open = open[index];
  });
  old.replaceWith(fresh);
  dress(fresh);
}

function update(live, text) {
  const parsed = new DOMParser().parseFromString(`<div>${text}</div>`, "text/html");
  const fresh = [...parsed.querySelectorAll("[data-key]")];
  const keys = new Set(fresh.map((part) => part.dataset.key));
  for (const part of [...live.querySelectorAll("[data-key]")]) {
    if (!keys.has(part.dataset.key)) part.remove();
  }
  let previous = null;
  for (const part of fresh) {
    const key = part.dataset.key;
    const html = part.outerHTML;
    const old = live.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const node = document.importNode(part, true);
    if (old && sources.get(key) !== html) {
      replace(old, node);
    } else if (!old && previous) {
      previous.after(node);
      dress(node);
    }
    sources.set(key, html);
    previous = live.querySelector(`[data-key="${CSS.escape(key)}"]`);
  }
}

async function poll(live) {
  try {
    const answer = await fetch(location.pathname + live.dataset.source, {cache: "no-store"});
    if (answer.ok) update(live, await answer.text());
  } catch (error) {
    // The stand-in is gone or restarting: the next round tries again.
  }
  showTimes(document);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "new-comment") return;
  const what = event.submitter ? event.submitter.value : "comment";
  if (what !== "comment") return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  body.set("do", what);
  await fetch(form.action, {method: "POST", body, redirect: "manual"});
  form.querySelector("textarea").value = "";
  const live = document.getElementById("live");
  if (live) poll(live);
});

const live = document.getElementById("live");
if (live) {
  remember(live);
  setInterval(() => poll(live), POLL_MS);
}
dress(document);
