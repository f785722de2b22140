// A question before something is done that cannot be undone.

import { element } from "./dom.js";

/** Ask; whether the answer was yes. Escape means no. */
export function confirmed(question, consequence, yes) {
  const dialog = element("dialog", { "aria-labelledby": "question" },
    element("form", { method: "dialog" },
      element("h2", { id: "question" }, question),
      element("p", {}, consequence),
      element("p", { class: "buttons" },
        element("button", { value: "no", class: "quiet", autofocus: true }, "Cancel"),
        element("button", { value: "yes", class: "danger" }, yes))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
