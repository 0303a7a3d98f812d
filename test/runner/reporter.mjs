/**
 * A node:test reporter: one JSON line per finished test, for test/runner/file.ts. Plain JavaScript, because Node loads
 * reporters before the TypeScript loader is there.
 */
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const error = data.details.error;
    // A suite, or a test that failed only because its subtests did, is no result of its own.
    if (data.details.type === 'suite' && error?.failureType !== 'hookFailed') continue;
    if (error?.failureType === 'subtestsFailed') continue;
    const skipped = data.skip !== undefined && data.skip !== false;
    yield `${JSON.stringify({
      name: data.name,
      outcome: skipped ? 'skipped' : type === 'test:pass' || data.todo !== undefined ? 'passed' : 'failed',
      reason: typeof data.skip === 'string' ? data.skip : '',
      details: type === 'test:fail' ? describe(error) : '',
    })}\n`;
  }
}

/** The error with its stack, without the frames of node:test itself. */
function describe(error) {
  const cause = error?.cause ?? error;
  const lines = String(cause?.stack ?? cause).split('\n');
  return lines.filter((line) => !/^ +at .*\(?node:(internal|async_hooks)/.test(line)).join('\n');
}
