"""The page behind the links of the API's clients: a run as people see it."""

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Pipelines</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}pre{background:#f4f4f4;
padding:1em;overflow:auto}.SUCCEEDED{color:#1a7f37}.FAILED{color:#cf222e}.RUNNING{color:#0969da}
</style><h1><a href="#/runs">Pipelines</a></h1><div id="main"></div>
<script>
"use strict";
const main = document.getElementById("main");
const api = path => fetch("/apis/v2beta1/" + path).then(r => r.json());
function put(tag, text, parent, attributes) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  Object.assign(made, attributes || {});
  (parent || main).append(made);
  return made;
}
function table(head, rows) {
  const made = put("table");
  const top = put("tr", undefined, made);
  head.forEach(h => put("th", h, top));
  rows.forEach(cells => {
    const row = put("tr", undefined, made);
    cells.forEach(c => {
      const cell = put("td", undefined, row);
      if (c.href) put("a", c.text, cell, {href: c.href});
      else { cell.textContent = c; cell.className = c; }
    });
  });
}
async function show() {
  const run = location.hash.match(/^#\\/runs\\/details\\/([^/?]+)/);
  const version = location.hash.match(/^#\\/pipelines\\/details\\/([^/]+)\\/version\\/([^/?]+)/);
  const value = run ? await api("runs/" + run[1])
    : version ? await api("pipelines/" + version[1] + "/versions/" + version[2])
    : await api("runs?page_size=50&sort_by=created_at%20desc");
  main.replaceChildren();
  if (run && value.run_id) {
    put("h2", value.display_name);
    put("p", value.state, main, {className: value.state});
    put("pre", JSON.stringify((value.runtime_config || {}).parameters || {}, null, 1));
    table(["task", "state", "start", "end"], ((value.run_details || {}).task_details || [])
      .map(t => [t.display_name, t.state || "", t.start_time, t.end_time]));
  } else if (version) {
    put("h2", value.display_name || "no such version");
    put("pre", JSON.stringify(value.pipeline_spec, null, 1));
  } else {
    table(["run", "state", "created"], (value.runs || []).map(r => [
      {href: "#/runs/details/" + r.run_id, text: r.display_name}, r.state, r.created_at]));
  }
}
addEventListener("hashchange", show);
setInterval(show, 2000);
show();
</script>
"""
