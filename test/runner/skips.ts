/**
 * The skip budget. A skipped test proves nothing, so each one is allowed by name in test/skips.json, with a reason, for
 * every Node version ("*") or for one major version ("20"). Any other skip fails the run.
 */
import { readFileSync } from 'node:fs';
import type { FileResult, TestResult } from './file.ts';

export type SkipBudget = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function readSkipBudget(): SkipBudget {
  return JSON.parse(readFileSync(new URL('../skips.json', import.meta.url), 'utf8'));
}

/** The same result, with each skip that is not allowed turned into a failure. */
export function enforceSkipBudget(result: FileResult, budget: SkipBudget, nodeMajor: string): FileResult {
  const allowed = { ...budget['*'], ...budget[nodeMajor] };
  const tests = result.tests.map((test): TestResult => {
    if (test.outcome !== 'skipped' || Object.hasOwn(allowed, `${result.file}: ${test.name}`)) return test;
    const details = `skipped (${test.reason === '' ? 'no reason given' : test.reason}), which test/skips.json does not allow`;
    return { ...test, outcome: 'failed', details };
  });
  return { ...result, tests };
}
