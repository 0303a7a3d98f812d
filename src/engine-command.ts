/** How a process of our own is started: the engine's main file under this very Node. */
export function engineCommand(role: string, words: readonly string[]): string[] {
  const self = import.meta.url;
  // .ts under tsx, .js as a module of the library, .cjs within the bundle of the commands.
  const main = new URL(`./engine/main${self.slice(self.lastIndexOf('.'))}`, self).pathname;
  return [process.execPath, ...process.execArgv, decodeURIComponent(main), role, ...words];
}
