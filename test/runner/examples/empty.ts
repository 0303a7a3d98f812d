/** Holds no test, for test/runner.test.ts. */
export const nothing = undefined;
