// The form in which tags are edited. What is typed stays, whatever happens to the record or the connection.

import { ask, pathOf } from "./api.js";
import { recordNow, showConflict } from "./conflict.js";
import { element, field, say } from "./dom.js";
import { tagsOf } from "./words.js";

/** `saved`: called when something was saved, and waited for. */
export class TagForm {
  constructor(name, saved) {
    this._name = name;
    this._saved = saved;
    this._base = null; // the record that is being edited
    this._input = element("textarea", { rows: "4", spellcheck: "false" });
    this._note = element("div", { role: "status" });
    this._message = element("div", { role: "alert" });
    this._conflict = element("div");
    this.element = element("div", {},
      element("form", { on: { submit: (event) => { event.preventDefault(); this._save(); } } },
        element("h2", {}, "Edit tags"),
        field("Tags", this._input, "One on each line."),
        element("p", { class: "buttons" }, element("button", {}, "Save tags"))),
      this._note, this._message, this._conflict);
  }

  /** Whether something is typed that is not saved. */
  get isTouched() {
    return this._base !== null && tagsOf(this._input.value).join("\n") !== this._base.tags.join("\n");
  }

  /** The record is so now. Tags that nobody is editing are shown as they are. */
  follow(record) {
    if (this.isTouched || (document.activeElement === this._input && this._base !== null)) {
      const changed = record?.etag !== this._base.etag;
      const words = changed ? "The record has changed while you are editing. What you have typed is kept." : "";
      say(this._note, words, "bad");
    } else if (record !== null) {
      this._take(record);
    }
  }

  _take(record) {
    this._base = record;
    this._input.value = record.tags.join("\n");
    say(this._note, "");
  }

  async _save() {
    const tags = tagsOf(this._input.value);
    say(this._message, "");
    try {
      const options = { method: "PATCH", body: { tags }, headers: { "If-Match": this._base.etag } };
      const saved = await ask(pathOf(this._name), options);
      if (saved !== null) this._take(saved);
      await this._saved();
      say(this._message, "Saved.");
    } catch (problem) {
      if (problem.status === 412) await this._compare(tags);
      else say(this._message, `Not saved: ${problem.message}`, "bad");
    }
  }

  async _compare(tags) {
    const theirs = await recordNow(this._name);
    if (theirs === null) {
      say(this._message, "Not saved: the name has been removed meanwhile. Register it again to have these tags.", "bad");
      return;
    }
    const keepMine = (record) => {
      this._base = record;
      this._save();
    };
    showConflict(this._conflict, { uri: this._base.uri, tags }, theirs, keepMine, (record) => this._take(record));
  }
}
