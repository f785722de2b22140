// The page on which a name is registered.

import { ask, pathOf } from "./api.js";
import { recordNow, showConflict } from "./conflict.js";
import { element, field, say } from "./dom.js";
import { linkTo } from "./names.js";
import { tagsOf } from "./words.js";

export function show(root) {
  new RegisterForm(root);
}

class RegisterForm {
  constructor(root) {
    const plain = { autocomplete: "off", spellcheck: "false" };
    this._name = element("input", { ...plain, required: true });
    this._uri = element("input", { ...plain, required: true, placeholder: "PYRO:object@host:port" });
    this._tags = element("textarea", { rows: "3", spellcheck: "false" });
    this._lease = element("input", { type: "number", min: "1", step: "any", inputmode: "decimal" });
    this._message = element("div", { role: "alert" });
    this._conflict = element("div");
    root.append(
      element("form", { on: { submit: (event) => { event.preventDefault(); this._save({ "If-None-Match": "*" }); } } },
        field("Name", this._name), field("URI", this._uri), field("Tags", this._tags, "One on each line."),
        field("Lease", this._lease, "Seconds after which it goes unless it is renewed. Empty: it stays."),
        element("p", { class: "buttons" }, element("button", {}, "Register"))),
      this._message, this._conflict);
  }

  async _save(condition) {
    const name = this._name.value;
    const body = { uri: this._uri.value, tags: tagsOf(this._tags.value) };
    if (this._lease.value !== "") body.lease = Number(this._lease.value);
    say(this._message, "");
    try {
      await ask(pathOf(name), { method: "PUT", body, headers: condition });
      this._message.replaceChildren(element("p", { class: "good" }, "Registered: ", linkTo(name)));
    } catch (problem) {
      if (problem.status === 412) await this._compare(name, body);
      else say(this._message, `Not registered: ${problem.message}`, "bad");
    }
  }

  async _compare(name, mine) {
    const theirs = await recordNow(name);
    if (theirs === null) {
      say(this._message, "Not registered: it was there a moment ago, and is gone now. Try again.", "bad");
      return;
    }
    showConflict(this._conflict, mine, theirs, (record) => this._save({ "If-Match": record.etag }), () => {
      this._message.replaceChildren(element("p", {}, "Left as it is: ", linkTo(name)));
    });
  }
}
