// Names as a tree: what is below a branch is asked for when it is opened.

import { ask } from "./api.js";
import { gently } from "./clock.js";
import { element, say } from "./dom.js";
import { linkTo } from "./names.js";
import { count } from "./words.js";

export function show(root, { live }) {
  const top = new Branch("", element("ul", { class: "tree" }), null);
  root.append(element("p", {}, "Names by their dots. A branch is opened and shut with Enter."), top.list);
  top.load();
  const reload = gently(() => top.load(), 1000);
  return live.listen((event) => { if (event.kind !== "updated") reload(); });
}

/** What is below a prefix. `list` shows it; `toggle` opens it, if it is not the whole tree. */
class Branch {
  constructor(prefix, list, toggle) {
    this._prefix = prefix;
    this.list = list;
    this._toggle = toggle;
    this._branches = new Map(); // those that have been opened, by their labels
    this._pages = 1;
  }

  get isOpen() {
    return this._toggle === null || this._toggle.getAttribute("aria-expanded") === "true";
  }

  async load() {
    let children = [];
    let next = null;
    try {
      for (let page = 0; page < this._pages; page++) {
        const after = next === null ? {} : { after: next };
        const answer = await ask(`/api/v1/tree?${new URLSearchParams({ prefix: this._prefix, ...after })}`);
        children = children.concat(answer.children);
        next = answer.next;
        if (next === null) break;
      }
    } catch (problem) {
      say(this.list, problem.message, "bad");
      return;
    }
    this._show(children, next);
    await Promise.all([...this._branches.values()].filter((branch) => branch.isOpen).map((branch) => branch.load()));
  }

  _show(children, next) {
    const focused = document.activeElement?.dataset?.place;
    const items = children.map((child) => this._item(child));
    if (next !== null) {
      items.push(element("li", {}, element("button", { type: "button", class: "quiet",
        on: { click: () => { this._pages += 1; this.load(); } } }, "More")));
    }
    if (items.length === 0) items.push(element("li", { class: "quiet" }, "nothing"));
    this.list.replaceChildren(...items);
    if (focused) this.list.querySelector(`[data-place="${CSS.escape(focused)}"]`)?.focus();
  }

  _item({ label, is_name: isName, below }) {
    const place = this._prefix + label;
    const text = label === "" ? "(nothing)" : label;
    const leaf = isName ? linkTo(place, text) : null;
    leaf?.setAttribute("data-place", `=${place}`);
    if (below === 0) return element("li", {}, element("span", { class: "node" }, leaf));
    const branch = this._branch(label);
    branch._toggle.replaceChildren(`${text}. `, element("span", { class: "quiet" }, count(below)));
    return element("li", {}, element("span", { class: "node" }, branch._toggle, leaf), branch.list);
  }

  _branch(label) {
    if (!this._branches.has(label)) {
      const prefix = `${this._prefix}${label}.`;
      const toggle = element("button", { type: "button", class: "branch", "aria-expanded": "false",
        "data-place": prefix });
      const branch = new Branch(prefix, element("ul", { hidden: true }), toggle);
      toggle.addEventListener("click", () => branch._flip());
      this._branches.set(label, branch);
    }
    return this._branches.get(label);
  }

  _flip() {
    const open = !this.isOpen;
    this._toggle.setAttribute("aria-expanded", open);
    this.list.hidden = !open;
    if (open) this.load();
  }
}
