/** What changed between two texts, line by line: the shortest way from one to the other. Pure. */

export interface DiffLine {
  kind: 'same' | 'added' | 'removed';
  text: string;
}

/** Beyond this many differing lines the search for the shortest way would be felt; the middle is then replaced whole. */
const MOST_STEPS = 1500;

export function diffLines(before: string, after: string): DiffLine[] {
  const one = before.split('\n');
  const two = after.split('\n');
  let start = 0;
  while (start < one.length && start < two.length && one[start] === two[start]) start += 1;
  let end = 0;
  while (
    end < one.length - start &&
    end < two.length - start &&
    one[one.length - 1 - end] === two[two.length - 1 - end]
  )
    end += 1;
  const line =
    (kind: DiffLine['kind']) =>
    (text: string): DiffLine => ({ kind, text });
  const middle = shortest(one.slice(start, one.length - end), two.slice(start, two.length - end));
  return [
    ...one.slice(0, start).map(line('same')),
    ...middle,
    ...one.slice(one.length - end).map(line('same')),
  ];
}

/** Myers' greedy search: for each number of steps the furthest point on every diagonal. */
function shortest(one: readonly string[], two: readonly string[]): DiffLine[] {
  const replaced = (): DiffLine[] => [
    ...one.map((text): DiffLine => ({ kind: 'removed', text })),
    ...two.map((text): DiffLine => ({ kind: 'added', text })),
  ];
  if (one.length === 0 || two.length === 0) return replaced();
  const trace: Map<number, number>[] = [];
  let reach = new Map<number, number>([[1, 0]]);
  const most = Math.min(one.length + two.length, MOST_STEPS);
  for (let steps = 0; steps <= most; steps += 1) {
    trace.push(new Map(reach));
    for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
      let x = goesDown(reach, diagonal, steps)
        ? (reach.get(diagonal + 1) ?? 0)
        : (reach.get(diagonal - 1) ?? 0) + 1;
      while (x < one.length && x - diagonal < two.length && one[x] === two[x - diagonal]) x += 1;
      reach.set(diagonal, x);
      if (x >= one.length && x - diagonal >= two.length) return walkedBack(trace, one, two);
    }
    reach = new Map(reach);
  }
  return replaced();
}

function goesDown(reach: ReadonlyMap<number, number>, diagonal: number, steps: number): boolean {
  return (
    diagonal === -steps ||
    (diagonal !== steps && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1))
  );
}

function walkedBack(
  trace: readonly Map<number, number>[],
  one: readonly string[],
  two: readonly string[],
): DiffLine[] {
  const lines: DiffLine[] = [];
  let x = one.length;
  let y = two.length;
  for (let steps = trace.length - 1; steps >= 0; steps -= 1) {
    const reach = trace[steps] ?? new Map<number, number>();
    const diagonal = x - y;
    const previous = goesDown(reach, diagonal, steps) ? diagonal + 1 : diagonal - 1;
    const fromX = steps === 0 ? 0 : (reach.get(previous) ?? 0);
    const fromY = steps === 0 ? 0 : fromX - previous;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      lines.push({ kind: 'same', text: one[x] ?? '' });
    }
    if (steps === 0) break;
    if (x === fromX) lines.push({ kind: 'added', text: two[--y] ?? '' });
    else lines.push({ kind: 'removed', text: one[--x] ?? '' });
  }
  return lines.reverse();
}

/** Long stretches without a change folded to a few lines around the changes; null stands for what is left out. */
export function folded(lines: readonly DiffLine[], around = 3): (DiffLine | null)[] {
  const keep = new Set<number>();
  lines.forEach((line, index) => {
    if (line.kind === 'same') return;
    for (let at = index - around; at <= index + around; at += 1) keep.add(at);
  });
  const shown: (DiffLine | null)[] = [];
  lines.forEach((line, index) => {
    if (keep.has(index)) shown.push(line);
    else if (shown.length === 0 || shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
