// What changes, as the server tells it: one stream of events for the whole page, which comes back by itself.

import { Problem, request } from "./api.js";

const SILENCE_MS = 40_000; // the server says something every 15 s
const LONGEST_WAIT_MS = 5_000;

/** The stream. `state`: told whether it is connected, and why not. */
export class Live {
  constructor(state) {
    this._state = state;
    this._listeners = new Set();
    this._last = null;
    this._abort = new AbortController();
    this._waits = 0;
    // A browser allows six connections to a server. Hidden tabs leave them to the others, and catch up later.
    document.addEventListener("visibilitychange", () => this._hurry());
    window.addEventListener("online", () => this._hurry());
    this._run();
  }

  /** Have a function told of events `{kind, name, ...}`; of kind "reset": look at everything again. How to end that. */
  listen(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  async _run() {
    for (;;) {
      let why = "";
      try {
        if (!document.hidden) await this._follow();
      } catch (problem) {
        why = problem instanceof Problem && problem.status ? problem.message : "";
      }
      if (!document.hidden) this._state(false, why);
      const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this._waits++);
      await new Promise((resolve) => {
        this._wake = resolve;
        if (!document.hidden) setTimeout(resolve, wait);
      });
    }
  }

  _hurry() {
    this._waits = 0;
    if (document.hidden) this._abort.abort();
    else this._wake?.();
  }

  async _follow() {
    const abort = this._abort = new AbortController();
    const since = this._last === null ? "" : `?since=${this._last}`;
    const response = await request(`/api/v1/events${since}`, { signal: abort.signal });
    this._state(true, "");
    this._waits = 0;
    if (this._last === null) this._tell({ kind: "reset" }); // what happened before this was not heard
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const silence = setTimeout(() => abort.abort(), SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      blocks.forEach((block) => this._take(block));
    }
  }

  _take(block) {
    const items = Object.fromEntries(block.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }));
    if (items.event === "reset") this._tell({ kind: "reset" });
    else if (items.event !== undefined && items.event !== "open") this._tell(JSON.parse(items.data));
    if (items.id !== undefined) this._last = items.id;
  }

  _tell(event) {
    this._listeners.forEach((listener) => listener(event));
  }
}
