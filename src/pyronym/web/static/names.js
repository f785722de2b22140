// All names as a table: searched, sorted and paged by the server.

import { ask } from "./api.js";
import { gently, repeat, shortLease, withEnd } from "./clock.js";
import { element, field, say, tagList } from "./dom.js";
import { count } from "./words.js";

const ROWS = 50;
const SECONDS = 10; // leases that are renewed, and states, are no events
const PAUSE_MS = 1000; // between two looks, however much happens

const FILTERS = {
  contains: ["contains", (text) => ["regex", `.*${text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}`]],
  prefix: ["starts with", (text) => ["prefix", text]],
  regex: ["matches the regular expression", (text) => ["regex", text]],
  tag: ["has the tag", (text) => ["tag", text]],
};

/** The address of a record's page. */
export function linkTo(name, text = name) {
  return element("a", { href: `#/name/${encodeURIComponent(name)}` }, text === "" ? "(the empty name)" : text);
}

export function show(root, { live, query }) {
  const table = new NameTable(root, query);
  return live.listen((event) => table.hear(event));
}

class NameTable {
  constructor(root, query) {
    this._sort = query.get("sort") ?? "name";
    this._cursors = [null]; // of the pages up to the one that is shown
    this._next = null;
    this._asked = 0;
    this._shown = ""; // as JSON: what has not changed stays selected
    this._reload = gently(() => this._load(), PAUSE_MS);
    this._search = element("input", { type: "search", id: "search", value: query.get("search") ?? "",
      autocomplete: "off", spellcheck: "false", on: { input: () => this._begin() } });
    this._how = element("select", { id: "how", on: { change: () => this._begin() } },
      Object.entries(FILTERS).map(([how, [words]]) =>
        element("option", { value: how, selected: how === query.get("how") }, words)));
    this._message = element("div", { role: "alert" });
    this._where = element("p", { role: "status", class: "where" });
    this._rows = element("tbody");
    this._heads = { name: this._head("Name", "name"), uri: this._head("URI", "uri") };
    this._previous = element("button", { type: "button", on: { click: () => this._turn(-1) } }, "Previous");
    this._following = element("button", { type: "button", on: { click: () => this._turn(1) } }, "Next");
    root.append(
      element("form", { class: "search", role: "search", on: { submit: (event) => event.preventDefault() } },
        field("Name", this._how), field("Search", this._search)),
      this._message,
      element("table", { class: "names" },
        element("caption", { class: "hidden" }, "Names"),
        element("thead", {}, element("tr", {}, this._heads.name, this._heads.uri,
          element("th", { scope: "col", class: "wide" }, "Tags"),
          element("th", { scope: "col", class: "wide" }, "Lease left"),
          element("th", { scope: "col" }, "State"))),
        this._rows),
      element("div", { class: "pager" }, this._previous, this._where, this._following));
    this._showSort();
    this._load();
    repeat(root, SECONDS, this._reload);
  }

  /** Look again if an event may have changed what is shown. */
  hear(event) {
    const [parameter, value] = this._filter() ?? [];
    if (event.kind !== "reset" && parameter === "prefix" && !event.name.startsWith(value)) return;
    this._reload();
  }

  _head(words, key) {
    return element("th", { scope: "col" },
      element("button", { type: "button", class: "sort", on: { click: () => this._sortBy(key) } }, words));
  }

  _sortBy(key) {
    this._sort = this._sort === key ? `-${key}` : key;
    this._showSort();
    this._begin();
  }

  _showSort() {
    for (const [key, head] of Object.entries(this._heads)) {
      const directions = { [key]: "ascending", [`-${key}`]: "descending" };
      head.setAttribute("aria-sort", directions[this._sort] ?? "none");
    }
  }

  /** Show the first page of what is wanted now. The address follows, so that it can be kept and sent to others. */
  _begin() {
    const wanted = new URLSearchParams({ search: this._search.value, how: this._how.value, sort: this._sort });
    history.replaceState(null, "", `#/names?${wanted}`);
    this._cursors = [null];
    this._load();
  }

  _turn(direction) {
    if (direction > 0) this._cursors.push(this._next);
    else this._cursors.pop();
    this._load();
  }

  _filter() {
    return this._search.value === "" ? null : FILTERS[this._how.value][1](this._search.value);
  }

  async _load() {
    const asked = ++this._asked;
    const wanted = new URLSearchParams({ sort: this._sort, limit: ROWS });
    const filter = this._filter();
    if (filter !== null) wanted.append(...filter);
    const cursor = this._cursors.at(-1);
    if (cursor !== null) wanted.append("cursor", cursor);
    try {
      const page = await ask(`/api/v1/names?${wanted}`);
      if (asked === this._asked) this._showPage(page); // otherwise something else is wanted by now
    } catch (problem) {
      if (asked === this._asked) say(this._message, problem.message, "bad");
    }
  }

  _showPage(page) {
    say(this._message, "");
    const json = JSON.stringify(page.names.map(withEnd));
    if (json !== this._shown) this._fill(page.names);
    this._shown = json;
    this._next = page.next;
    const before = (this._cursors.length - 1) * ROWS;
    this._where.textContent = page.names.length === 0 ? "no names"
      : `${count(before + 1)} to ${count(before + page.names.length)} of ${count(page.total)}`;
    this._previous.disabled = this._cursors.length === 1;
    this._following.disabled = page.next === null;
  }

  _fill(records) {
    const focused = document.activeElement?.closest?.("tbody a")?.getAttribute("href");
    this._rows.replaceChildren(...records.map(row));
    if (focused) this._rows.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }
}

function row(record) {
  return element("tr", {},
    element("th", { scope: "row" }, linkTo(record.name)),
    element("td", { class: "uri" }, record.uri),
    element("td", { class: "wide" }, tagList(record.tags)),
    element("td", { class: "wide" }, shortLease(record.lease)),
    element("td", {}, stateWords(record)));
}

/** How the object of a record is; never by colour alone. */
export function stateWords(record) {
  const kinds = { alive: "good", unreachable: "bad", "object unknown": "bad" };
  return element("span", { class: kinds[record.state] ?? "quiet" }, record.state);
}
