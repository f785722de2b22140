// What changes by itself while one looks at it.

import { element } from "./dom.js";
import { duration } from "./words.js";

/** A lease in words; if it ends, the seconds that are left are counted down. */
export function leaseWords(lease) {
  if (lease === null) return "none: it stays until it is removed";
  const kind = lease.ephemeral ? ", or with its connection" : "";
  if (lease.left === null) return lease.ephemeral ? "as long as its connection" : "kept by another node";
  const left = element("span", { "data-ends": performance.now() / 1000 + lease.left });
  tick(left);
  return element("span", {}, "ends in ", left, ` unless it is renewed${kind}`);
}

/** The same in a few words. */
export function shortLease(lease) {
  if (lease === null) return "";
  if (lease.left === null) return lease.ephemeral ? "connection" : "elsewhere";
  const left = element("span", { "data-ends": performance.now() / 1000 + lease.left });
  tick(left);
  return left;
}

/** A record that is equal as long as its lease is not renewed: with the second at which that ends. */
export function withEnd(record) {
  if (record === null || record.lease === null || record.lease.left === null) return record;
  return { ...record, lease: { ...record.lease, left: Math.round(performance.now() / 1000 + record.lease.left) } };
}

function tick(left) {
  left.textContent = duration(Number(left.dataset.ends) - performance.now() / 1000);
}

setInterval(() => document.querySelectorAll("[data-ends]").forEach(tick), 1000);

/** Call `work` again and again while `root` is on the page: after `seconds`, or ten times as long as it took. */
export function repeat(root, seconds, work) {
  async function once() {
    if (!root.isConnected) return;
    const began = performance.now();
    if (!document.hidden) await work();
    setTimeout(once, Math.max(1000 * seconds, 10 * (performance.now() - began)));
  }
  setTimeout(once, 1000 * seconds);
}

/** A function that has `work` done soon: once for all that ask meanwhile, and not more often than it takes. */
export function gently(work, milliseconds) {
  let state = "idle";
  return async function again() {
    if (state !== "idle") {
      state = "again";
      return;
    }
    state = "busy";
    const began = performance.now();
    await work();
    const pause = Math.max(milliseconds, 5 * (performance.now() - began));
    setTimeout(() => {
      const asked = state === "again";
      state = "idle";
      if (asked) again();
    }, pause);
  };
}
