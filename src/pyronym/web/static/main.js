// The pages of the dashboard: which one is shown is said by what follows the `#` in the address.

import { show as showGraphs } from "./graphs.js";
import { Live } from "./live.js";
import { show as showNames } from "./names.js";
import { show as showNodes } from "./nodes.js";
import { show as showRecord } from "./record.js";
import { show as showRegister } from "./register.js";
import { show as showTree } from "./tree.js";
import { element } from "./dom.js";

const PAGES = {
  names: ["Names", showNames],
  tree: ["Tree", showTree],
  name: ["Record", showRecord],
  register: ["Register a name", showRegister],
  nodes: ["Nodes and storage", showNodes],
  graphs: ["Graphs", showGraphs],
};

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const live = new Live(showConnection);
let leave = () => {};

function showConnection(connected, why) {
  connection.className = connected ? "good" : "bad";
  connection.textContent = connected ? "live" : `Connection lost: trying again. ${why}`;
}

/** Show the page that the address says. Each page gets an element of its own, and may give back how to leave it. */
function route(event) {
  if (location.hash === "#main") { // the link past the navigation
    main.focus();
    return;
  }
  const [path, query = ""] = location.hash.slice(2).split("?");
  const [page, argument = ""] = path.split("/");
  const [title, show] = PAGES[page] ?? PAGES.names;
  leave();
  const heading = element("h1", { tabindex: "-1" }, title);
  const root = element("div", {}, heading);
  main.replaceChildren(root);
  leave = show(root, { live, argument: decoded(argument), query: new URLSearchParams(query) }) ?? (() => {});
  document.title = `${heading.textContent} – pyronym`;
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("href") === `#/${page || "names"}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (event) heading.focus();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch { // typed by hand
    return text;
  }
}

window.addEventListener("hashchange", route);
route();
