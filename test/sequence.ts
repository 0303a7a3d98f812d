/** Checks output of the form `N VALUE`, where VALUE is next() of program.h applied `each` times per line, from 1. */
const mask = (1n << 64n) - 1n;

/** `each` steps of the generator in one: value -> multiplier * value + increment. */
function skip(each: number): { multiplier: bigint; increment: bigint } {
  let [multiplier, increment] = [1n, 0n];
  let [factor, summand] = [6364136223846793005n, 1442695040888963407n];
  for (let left = each; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) [multiplier, increment] = [(multiplier * factor) & mask, (increment * factor + summand) & mask];
    [factor, summand] = [(factor * factor) & mask, (summand * (factor + 1n)) & mask];
  }
  return { multiplier, increment };
}

/** Number of complete lines; throws at the first that is lost, repeated or changed. Other lines must match `ignore`. */
export function checkSequence(text: string, each: number, ignore: RegExp = /^(ready|PASS)/): number {
  const { multiplier, increment } = skip(each);
  let value = 1n;
  let count = 0;
  for (const line of text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)) {
    if (ignore.test(line)) continue;
    value = (value * multiplier + increment) & mask;
    const wanted = `${++count} ${value.toString(16).padStart(16, '0')}`;
    if (line !== wanted) throw new Error(`Line ${count} is ${JSON.stringify(line)}, must be ${JSON.stringify(wanted)}`);
  }
  return count;
}
