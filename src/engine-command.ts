/** How a process of our own is started: the engine's main file under this very Node. */
export function engineCommand(role: string, words: readonly string[]): string[] {
  const self = import.meta.url;
  const main = new URL(`./engine/main${self.endsWith('.ts') ? '.ts' : '.js'}`, self).pathname;
  return [process.execPath, ...process.execArgv, decodeURIComponent(main), role, ...words];
}
