// The token of this browser tab: kept in its session storage, sent as a header, never in an address.

import { element, field } from "./dom.js";

const KEY = "pyronym-token";

let asking = null;

/** What a request has to carry. */
export function tokenHeaders() {
  const token = sessionStorage.getItem(KEY);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** Ask for a token, because the server said `why`. Whether one was given. Those who ask together get one answer. */
export function askForToken(why) {
  asking ??= shownDialog(why).finally(() => { asking = null; });
  return asking;
}

function shownDialog(why) {
  const input = element("input", { type: "password", autocomplete: "off", required: true });
  const dialog = element("dialog", { "aria-labelledby": "token-title" },
    element("form", { method: "dialog" },
      element("h2", { id: "token-title" }, "Token"),
      element("p", { class: "bad" }, why),
      field("Token", input, "It is kept until this tab is closed."),
      element("p", { class: "buttons" },
        element("button", { value: "yes" }, "Use it"),
        element("button", { value: "no", formnovalidate: true, class: "quiet" }, "Cancel"))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "yes" && input.value.trim() !== "";
      if (given) sessionStorage.setItem(KEY, input.value.trim());
      dialog.remove();
      resolve(given);
    });
  });
}
