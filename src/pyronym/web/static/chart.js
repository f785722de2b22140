// A small line chart as SVG.

import { count } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 160;
const LEFT = 70;
const TOP = 12;
const BOTTOM = 22;

/** `lines`: `{name, values}`, where values are numbers or null, all equally long. `span`: what the width stands for. */
export function chart(title, lines, span, show = count) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const latest = lines.map(({ name, values }) => `${name} ${latestOf(values, show)}`).join(", ");
  svg.setAttribute("aria-label", `${title}: ${latest}`);
  const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const top = roundUp(Math.max(0, ...known));
  const low = HEIGHT - BOTTOM;
  for (const part of [0, 0.5, 1]) {
    const y = low - part * (low - TOP);
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }));
    if (known.length > 0) svg.append(shape("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, show(top * part)));
  }
  svg.append(shape("text", { x: LEFT, y: HEIGHT - 5 }, `${span} ago`));
  svg.append(shape("text", { x: WIDTH, y: HEIGHT - 5, "text-anchor": "end" }, "now"));
  lines.forEach(({ values }, index) => {
    const step = (WIDTH - LEFT) / Math.max(1, values.length - 1);
    for (const points of runs(values)) {
      const places = points.map(([place, value]) => `${LEFT + place * step},${low - value / top * (low - TOP)}`);
      svg.append(shape("polyline", { class: `line-${index}`, points: places.join(" ") }));
    }
  });
  return svg;
}

/** The last of some values in words. */
export function latestOf(values, show = count) {
  const last = values.at(-1);
  return last === null || last === undefined ? "none" : show(last);
}

/** Values in a row that are there, with their places. */
function runs(values) {
  const found = [[]];
  values.forEach((value, place) => {
    if (value === null) found.push([]);
    else found.at(-1).push([place, value]);
  });
  return found.filter((points) => points.length > 0);
}

/** The next of 1, 2, 5, 10, 20 and so on. */
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
