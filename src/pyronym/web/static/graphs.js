// Graphs of rates and latency, of samples that are taken while the page is open.

import { request } from "./api.js";
import { chart, latestOf } from "./chart.js";
import { repeat } from "./clock.js";
import { element, say } from "./dom.js";
import { parse, quantile, rate, total } from "./samples.js";
import { count, duration } from "./words.js";

const SECONDS = 2;
const MOST = 150; // five minutes

const samples = []; // kept while other pages are shown, but then none are taken

const isLookup = ({ method }) => method === "lookup" || method === "yplookup";
const isRegistration = ({ method }) => method === "register";
const isOther = (labels) => !isLookup(labels) && !isRegistration(labels);

/** Title, how values are shown, and lines: each a name and what it tells of two samples. */
const GRAPHS = [
  ["Calls per second", (value) => count(Math.round(value * 10) / 10), [
    ["lookups", (a, b) => rate(a, b, "pyronym_requests_total", isLookup)],
    ["registrations", (a, b) => rate(a, b, "pyronym_requests_total", isRegistration)],
    ["others", (a, b) => rate(a, b, "pyronym_requests_total", isOther)],
    ["by HTTP", (a, b) => rate(a, b, "pyronym_http_requests_total")],
  ]],
  ["Latency of calls", milliseconds, [
    ["median", (a, b) => quantile(a, b, "pyronym_request_seconds", 0.5)],
    ["99 %", (a, b) => quantile(a, b, "pyronym_request_seconds", 0.99)],
  ]],
  ["Group commits", milliseconds, [
    ["median", (a, b) => quantile(a, b, "pyronym_storage_commit_seconds", 0.5)],
    ["99 %", (a, b) => quantile(a, b, "pyronym_storage_commit_seconds", 0.99)],
  ]],
  ["Names", count, [["names", (_, b) => total(b, "pyronym_names")]]],
  ["Connections", count, [["connections", (_, b) => total(b, "pyronym_connections")]]],
];

export function show(root) {
  const message = element("div", { role: "alert" });
  const place = element("div", { class: "graphs" });
  root.append(element("p", { class: "quiet" }, `One sample every ${SECONDS} s, while this page is open.`), message, place);
  async function load() {
    try {
      const text = await (await request("/metrics")).text();
      samples.push({ time: performance.now() / 1000, values: parse(text) });
      if (samples.length > MOST) samples.shift();
      place.replaceChildren(...GRAPHS.map(graph));
      say(message, "");
    } catch (problem) {
      say(message, problem.message, "bad");
    }
  }
  load();
  repeat(root, SECONDS, load);
}

function graph([title, showValue, kinds]) {
  const lines = kinds.map(([name, tells]) => ({
    name,
    values: samples.slice(1).map((sample, index) => tells(samples[index], sample)),
  }));
  const span = duration(samples.at(-1).time - samples[0].time);
  return element("figure", {},
    element("figcaption", {}, element("strong", {}, title), lines.map(({ name, values }, index) =>
      element("span", { class: `key key-${index}` }, `${name} ${latestOf(values, showValue)}`))),
    chart(title, lines, span, showValue));
}

function milliseconds(seconds) {
  const value = seconds * 1000;
  return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(2))} ms`;
}
