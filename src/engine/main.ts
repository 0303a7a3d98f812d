/** Processes of our own: `node engine/main.js ROLE …`. Not a command for people. */
import { sayUncaught } from '../messages.ts';

const [role, ...words] = process.argv.slice(2);

switch (role) {
  case 'become':
    sayUncaught();
    await (await import('./become.ts')).main(words[0] ?? '');
    break;
  case 'supervise':
    sayUncaught();
    await (await import('./supervise.ts')).main(words);
    break;
  case 'serve':
    await (await import('./serve.ts')).main();
    break;
  default:
    process.stderr.write('stasis: this program is started by stasis itself\n');
    process.exitCode = 2;
}
