/** Never ends, for test/runner.test.ts. */
import { test } from 'node:test';

test('passes first', () => {});
test('never ends', () => new Promise((resolve) => setTimeout(resolve, 300_000)));
