// Of two who edit one record, the second sees both versions and decides.

import { ask, pathOf } from "./api.js";
import { element, table, tagList } from "./dom.js";

/** The record as it is now; null: there is none. */
export async function recordNow(name) {
  try {
    return await ask(pathOf(name));
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** Show both versions in `place`. `keepMine` and `takeTheirs` are called with theirs. */
export function showConflict(place, mine, theirs, keepMine, takeTheirs) {
  const decide = (act) => () => {
    place.replaceChildren();
    act(theirs);
  };
  const first = element("button", { type: "button", on: { click: decide(keepMine) } }, "Save mine");
  place.replaceChildren(element("section", { class: "conflict", "aria-label": "Conflict" },
    element("h2", {}, "Somebody else has changed it meanwhile"),
    table("Both versions", ["", "Yours", "Theirs, now"], [
      ["URI", mine.uri, theirs.uri],
      ["Tags", tagList(mine.tags), tagList(theirs.tags)],
    ]),
    element("p", { class: "buttons" }, first,
      element("button", { type: "button", class: "quiet", on: { click: decide(takeTheirs) } }, "Take theirs"))));
  first.focus();
}
