// What /metrics tells, sample after sample, and what the differences of two samples mean. Knows nothing of pages.

/** The values of a metrics page: a list of `{name, labels, value}`. */
export function parse(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
      .map(([, name, value]) => [name, value]));
    found.push({ name: match[1], labels, value: match[3] === "+Inf" ? Infinity : Number(match[3]) });
  }
  return found;
}

/** The sum of all values of that name whose labels are wanted. */
export function total(sample, name, wanted = () => true) {
  let sum = 0;
  for (const item of sample.values) if (item.name === name && wanted(item.labels)) sum += item.value;
  return sum;
}

/** How much a counter grows in a second, between two samples. */
export function rate(before, after, name, wanted) {
  const grown = total(after, name, wanted) - total(before, name, wanted);
  return Math.max(0, grown) / (after.time - before.time);
}

/** The seconds that a part (0 to 1) of what happened between two samples took at most; null: nothing happened. */
export function quantile(before, after, name, part) {
  const steps = new Map();
  for (const [sample, sign] of [[before, -1], [after, 1]]) {
    for (const item of sample.values) {
      if (item.name !== `${name}_bucket`) continue;
      const bound = item.labels.le === "+Inf" ? Infinity : Number(item.labels.le);
      steps.set(bound, (steps.get(bound) ?? 0) + sign * item.value);
    }
  }
  const bounds = [...steps.keys()].sort((one, other) => one - other);
  const all = steps.get(Infinity) ?? 0;
  if (all <= 0) return null;
  let [low, so_far] = [0, 0];
  for (const bound of bounds) {
    const up_to = steps.get(bound);
    if (up_to >= part * all) {
      // Evenly spread within the step, as Prometheus takes it.
      if (bound === Infinity) return low;
      return low + (bound - low) * (part * all - so_far) / (up_to - so_far);
    }
    [low, so_far] = [bound, up_to];
  }
  return low;
}
