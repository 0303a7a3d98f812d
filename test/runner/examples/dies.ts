/** Is killed after a test that passed, for test/runner.test.ts. */
import { test } from 'node:test';

test('passes first', () => {});
test('dies', () => void process.kill(process.pid, 'SIGKILL'));
