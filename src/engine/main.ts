/** Processes of our own: `node engine/main.js ROLE …`. Not a command for people. */
import { sayUncaught } from '../messages.ts';

const [role, ...words] = process.argv.slice(2);

// No top-level await: the build makes CommonJS of it.
void main();

async function main(): Promise<void> {
  switch (role) {
    case 'become':
      sayUncaught();
      await (await import('./become.ts')).main(words[0] ?? '');
      break;
    case 'supervise':
      sayUncaught();
      await (await import('./supervise.ts')).main(words);
      break;
    case 'keep':
      sayUncaught();
      (await import('./keep.ts')).main(words);
      break;
    case 'serve':
      await (await import('./serve.ts')).main();
      break;
    default:
      process.stderr.write('stasis: this program is started by stasis itself\n');
      process.exitCode = 2;
  }
}
