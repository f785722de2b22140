// Values in words.

/** Seconds as people say them: "4 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => whole >= size);
  if (first === -1) return "0 s";
  const [size, unit] = units[first];
  const rest = units[first + 1];
  const more = rest && Math.floor((whole % size) / rest[0]);
  return `${Math.floor(whole / size)} ${unit}` + (more ? ` ${more} ${rest[1]}` : "");
}

/** A time in seconds since 1970, in the reader's own way. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** A number with its thousands apart. */
export function count(number) {
  return number.toLocaleString("en");
}

/** Lines of a text as tags: without spaces around, without empty ones, each once. */
export function tagsOf(text) {
  return [...new Set(text.split("\n").map((line) => line.trim()).filter((line) => line !== ""))].sort();
}
