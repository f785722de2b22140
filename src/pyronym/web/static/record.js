// The page of one record.

import { ask, pathOf } from "./api.js";
import { gently, leaseWords, repeat, withEnd } from "./clock.js";
import { confirmed } from "./confirm.js";
import { recordNow } from "./conflict.js";
import { element, facts, say, table, tagList } from "./dom.js";
import { stateWords } from "./names.js";
import { TagForm } from "./tags.js";
import { duration, moment } from "./words.js";

const OWN_NAME = "Pyro.NameServer";
const SECONDS = 5; // leases and states are no events

export function show(root, { live, argument }) {
  const page = new RecordPage(root, argument);
  const look = gently(() => page.load(), 500);
  look();
  repeat(root, SECONDS, look);
  return live.listen((event) => { if (event.kind === "reset" || event.name === argument) look(); });
}

class RecordPage {
  constructor(root, name) {
    this._name = name;
    this._record = null;
    this._shown = {}; // what is shown in each section, as JSON: what has not changed stays selected, and focused
    this._facts = element("section", { "aria-label": "Record" });
    this._history = element("section", { "aria-label": "History" });
    this._message = element("div", { role: "alert" });
    this._remove = element("button", { type: "button", class: "danger", on: { click: () => this._ask() } }, "Remove");
    this._tags = new TagForm(name, () => this.load());
    this._actions = element("section", { "aria-label": "Change", hidden: true }, this._tags.element,
      element("p", { class: "buttons" }, this._remove));
    root.querySelector("h1").textContent = name === "" ? "(the empty name)" : name;
    root.append(this._facts, this._message, this._actions, this._history);
  }

  async load() {
    try {
      const [record, changes] = await Promise.all([recordNow(this._name), ask(pathOf(this._name, "history"))]);
      this._show(record, changes);
    } catch (problem) {
      say(this._message, problem.message, "bad");
    }
  }

  _show(record, changes) {
    this._record = record;
    this._remove.disabled = record === null;
    this._actions.hidden = this._name === OWN_NAME || (record === null && !this._tags.isTouched);
    this._tags.follow(record);
    this._fill("_facts", [withEnd(record), changes.at(0)], () => (record === null
      ? [element("p", { class: "bad" }, "There is no such name now.")] : [facts(factsOf(record, changes))]));
    const elsewhere = isChangedElsewhere(record, changes);
    this._fill("_history", [changes, elsewhere], () => [element("h2", {}, "History"), historyOf(changes, elsewhere)]);
  }

  _fill(section, value, make) {
    const json = JSON.stringify(value);
    if (this._shown[section] === json) return;
    this._shown[section] = json;
    this[section].replaceChildren(...make());
  }

  async _ask() {
    const { etag } = this._record;
    if (!await confirmed(`Remove ${this._name}?`, "Clients will not find it any more.", "Remove")) return;
    try {
      await ask(pathOf(this._name), { method: "DELETE", headers: { "If-Match": etag } });
      say(this._message, "Removed.");
    } catch (problem) {
      say(this._message, `Not removed: ${problem.message}`, "bad");
    }
    await this.load();
  }
}

/** Whether other nodes have made changes after those that this one remembers, which do not lead to the record. */
function isChangedElsewhere(record, changes) {
  if (changes.length === 0) return false;
  const [{ uri, tags }] = changes;
  return record === null ? uri !== null : uri !== record.uri || tags.join("\n") !== record.tags.join("\n");
}

function factsOf(record, changes) {
  const registered = isChangedElsewhere(record, changes) ? undefined
    : changes.find((change) => change.what === "register" && change.uri === record.uri);
  const since = record.state_seconds === null ? "" : ` for ${duration(record.state_seconds)}`;
  return [
    ["URI", element("code", {}, record.uri)],
    ["Tags", record.tags.length === 0 ? "none" : tagList(record.tags)],
    ["State", element("span", {}, stateWords(record), since)],
    ["Lease", leaseWords(record.lease)],
    ["Owner", record.owner ?? "nobody"],
    ["Registered", registered === undefined
      ? "not remembered: by another node, in an earlier run, or before many other changes"
      : `${moment(registered.time)} by ${registered.who} from ${registered.address ?? "the name server"}`],
  ];
}

function historyOf(changes, elsewhere) {
  if (changes.length === 0) return element("p", { class: "quiet" }, "Nothing is remembered.");
  return element("div", {},
    elsewhere ? element("p", { class: "bad" }, "Since then it has been changed by way of another node.") : null,
    table("Latest changes, the newest first", ["When", "What", "Who", "From", "URI", "Tags"],
      changes.map((change) => [moment(change.time), change.what.replace("_", " "), change.who, change.address ?? "",
        change.uri ?? "", tagList(change.tags)])));
}
