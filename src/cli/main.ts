/**
 * The command line's entry: the engine process, help, version or one command. Everything but the parser is loaded when
 * it is needed, since a checkpoint of a small process takes less time than loading what it does not use.
 */
import { parseCommandLine, type Request } from './parse.ts';

/** The verb was typed under this name (bin/stasis); the programs that we start must not inherit it. */
const invokedAs = process.env['STASIS_NAME'];
delete process.env['STASIS_NAME'];

const words = process.argv.slice(2);

// No top-level await: the build makes CommonJS of it.
void main();

async function main(): Promise<void> {
  let request: Request | undefined;
  try {
    request = parseCommandLine(words, invokedAs);
    await answer(request);
  } catch (error) {
    const { reportError } = await import('./report.ts');
    const invocation = request?.kind === 'command' ? request.invocation : undefined;
    process.exit(reportError(error, invocation, words));
  }
}

async function answer(request: Request): Promise<void> {
  if (request.kind === 'command') {
    const { runCommand } = await import('./run-command.ts');
    process.exit(await runCommand(request.invocation));
  }
  const { print } = await import('./output.ts');
  if (request.kind === 'version') {
    const { version } = await import('../version.ts');
    print(`stasis ${version}\n`);
    return;
  }
  const { commandHelp, overview } = await import('./help.ts');
  const { terminalWidth } = await import('./output.ts');
  const { command, name } = request;
  print(command === undefined ? overview(terminalWidth(1)) : commandHelp(command, name, terminalWidth(1)));
}
