// Making elements. Texts are always texts, never HTML: names, URIs and tags are whatever somebody has registered.

/** An element with attributes, event handlers (`on: {click: ...}`), and children: elements, texts, or null for none. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [kind, handler] of Object.entries(value)) made.addEventListener(kind, handler);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null));
  return made;
}

/** A list of terms and what they stand for. */
export function facts(pairs) {
  return element("dl", {}, pairs.map(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]));
}

/** A table with a caption and headings. `rows`: lists of what is in the cells; the first of each heads its row. */
export function table(caption, headings, rows) {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element("table", {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, headings.map((heading) => element("th", { scope: "col" }, heading)))),
      element("tbody", {}, rows.map(([first, ...cells]) => element("tr", {},
        element("th", { scope: "row" }, first), cells.map((cell) => element("td", {}, cell)))))));
}

/** Tags, each in its own box. */
export function tagList(tags) {
  return element("span", { class: "tags" }, tags.map((tag) => element("span", { class: "tag" }, tag)));
}

let labels = 0;

/** A labelled input, select or textarea: the two elements in one. `hint`: a sentence below it. */
export function field(label, input, hint = null) {
  const id = input.id || `field-${++labels}`;
  input.id = id;
  if (hint !== null) input.setAttribute("aria-describedby", `${id}-hint`);
  return element("div", { class: "field" },
    element("label", { for: id }, label), input,
    hint === null ? null : element("small", { id: `${id}-hint` }, hint));
}

/** Show what went wrong, or what was done, where screen readers tell of it. */
export function say(place, words, kind = "good") {
  place.replaceChildren(words === "" ? "" : element("p", { class: kind }, words));
}
