/** Leaves a process running that is in nobody's tree and session, for test/runner.test.ts. */
import { spawn } from 'node:child_process';
import { test } from 'node:test';

test('starts a process and forgets it', () => {
  spawn('/bin/sleep', ['300'], { detached: true, stdio: 'ignore' }).unref();
});
