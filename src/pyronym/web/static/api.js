// Requests to the server's REST API.

import { askForToken, tokenHeaders } from "./token.js";

/** What the server refuses, or that it cannot be reached (status 0). The message is for people. */
export class Problem extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** The answer to a request; Problem if it is an error. Where the server wants a token, the user is asked for it. */
export async function request(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const shown = tokenHeaders();
  let response;
  try {
    response = await fetch(path, { method, headers: { ...sent, ...shown }, signal, body: JSON.stringify(body) });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Problem(0, "The server cannot be reached. What you have typed is still here: try again.");
  }
  if (response.ok) return response;
  const words = await wordsOf(response);
  if (response.status === 401) {
    // Meanwhile another request may have asked the user already.
    const isNew = tokenHeaders().Authorization !== shown.Authorization;
    if (isNew || await askForToken(words)) return request(path, { method, body, headers, signal });
  }
  throw new Problem(response.status, words);
}

/** The value that the server answers. */
export async function ask(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

/** Where a name is: what a path cannot end in is written with a `=` before it. */
export function pathOf(name, kind = "names") {
  const escape = name === "" || name === "." || name === ".." || name.startsWith("=") ? "=" : "";
  return `/api/v1/${kind}/${escape}${encodeURIComponent(name)}`;
}

async function wordsOf(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `The server answered ${response.status}.`;
  }
}
