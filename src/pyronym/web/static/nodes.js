// The nodes of the name server, and the storage of this one.

import { ask } from "./api.js";
import { repeat } from "./clock.js";
import { element, facts, say, table } from "./dom.js";
import { count, duration, moment } from "./words.js";

const SECONDS = 5;

export function show(root) {
  const message = element("div", { role: "alert" });
  const place = element("div");
  root.append(message, place);
  async function load() {
    try {
      const [status, nodes] = await Promise.all([ask("/api/v1/status"), ask("/api/v1/nodes")]);
      place.replaceChildren(nodeTable(nodes), element("h2", {}, "Storage"), facts(storageFacts(status)),
        element("h2", {}, "This node"), facts(nodeFacts(status)));
      say(message, "");
    } catch (problem) {
      say(message, problem.message, "bad");
    }
  }
  load();
  repeat(root, SECONDS, load);
}

function nodeTable(nodes) {
  return table("Nodes, this one first", ["Address", "Host", "Process", "Version", "Up for"], nodes.map((node) => [
    node.address, node.host, String(node.pid), node.version, duration(Date.now() / 1000 - node.started)]));
}

function storageFacts({ storage, stale_since: since, stale_reason: reason }) {
  const trouble = storage.trouble;
  const average = storage.commits === 0 ? "" : `, ${(1000 * storage.total / storage.commits).toFixed(2)} ms on average`;
  return [
    ["Kept in", storage.description],
    ["Takes changes", trouble === null ? element("span", { class: "good" }, "yes")
      : element("span", { class: "bad" }, `no, since ${moment(trouble.since)}: ${trouble.reason}`)],
    ["Up to date", since === null ? element("span", { class: "good" }, "yes")
      : element("span", { class: "bad" }, `perhaps not, since ${moment(since)}: ${reason}`)],
    ["Group commits", `${count(storage.commits)} with ${count(storage.changes)} changes${average}`],
    ["Longest commit", `${(1000 * storage.longest).toFixed(2)} ms`],
  ];
}

function nodeFacts(status) {
  return [
    ["Names", count(status.records)],
    ["Leases", count(status.leases)],
    ["Watches", count(status.watches)],
    ["Connections", count(status.connections)],
    ["Revision", String(status.revision)],
    ["Python", status.python],
  ];
}
