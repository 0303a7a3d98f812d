/** Programs of Debian that somebody works with in a terminal: checkpointed from elsewhere, and gone on with in another terminal. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { commandPath, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { comm, descendants, isForeground } from './processes.ts';
import { until, Program } from './program.ts';
import { Terminal } from './terminal.ts';

/** A process below the terminal's shell. */
function below(room: Room, terminal: Terminal, name: string): Promise<Program> {
  const find = (): number | undefined => descendants(terminal.pid).findLast((pid) => comm(pid) === name);
  return until(`${name} in the terminal`, find).then((pid) => new Program(room.own(pid), '/dev/null', '/dev/null'));
}

const xterm = { TERM: 'xterm' };
const restart = (image: string): string => `'${commandPath('stasis')}' restart '${image}'; echo "ended with $?"\n`;

suite('programs in a terminal go on in another one', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('less, at its place in the text', { skip: lacks('less') }, async () => {
    using room = new Room();
    const [text, image] = [room.path('text'), room.path('image')];
    fs.writeFileSync(text, Array.from({ length: 500 }, (_, index) => `line ${index + 1} of it\n`).join(''));
    using first = await Terminal.bash(room.directory, xterm);
    await first.enter(`less '${text}'\n`, /line 20 of it/);
    await first.enter('100g', /line 110 of it/);
    await room.checkpoint(await below(room, first, 'less'), image, '--kill');
    using second = await Terminal.bash(room.directory, xterm);
    second.type(restart(image));
    await below(room, second, 'less');
    await second.enter('j', /line 123 of it/);
    await second.enter('q', /ended with 0/);
  });

  test('python, with what it knows', { skip: lacks('python3') }, async () => {
    using room = new Room();
    const image = room.path('image');
    using first = await Terminal.bash(room.directory, xterm);
    await first.enter('/usr/bin/python3 -q\n', />>> $/);
    await first.enter('known = 41\n', />>> $/);
    await room.checkpoint(await below(room, first, 'python3'), image, '--kill');
    using second = await Terminal.bash(room.directory, xterm);
    second.type(restart(image));
    await below(room, second, 'python3');
    await second.enter('known + 1\n', /42\n/);
    await second.enter('exit()\n', /ended with 0/);
  });

  const skip = lacks('python3') || (process.getuid?.() !== 0 && 'needs root, to choose the number of a process group');
  test('bash, with its job control', { skip }, async () => {
    using room = new Room();
    const image = room.path('image');
    using first = await Terminal.bash(room.directory, xterm);
    await first.enter('bash --rcfile bashrc --noediting -i\n', /> $/);
    await first.enter('known=41; sleep 1000\n', /sleep 1000\n$/);
    const sleeper = await below(room, first, 'sleep');
    await first.enter('\u001a', /Stopped[^]*> $/);
    const parent = Number(fs.readFileSync(`/proc/${sleeper.pid}/stat`, 'utf8').split(' ')[3]);
    await room.checkpoint(new Program(room.own(parent), '/dev/null', '/dev/null'), image, '--kill');
    // bash knows the job by its number, which is free when init has heard of its end.
    await until(`${sleeper.pid} is free`, () => !fs.existsSync(`/proc/${sleeper.pid}`));
    using second = await Terminal.bash(room.directory, xterm);
    second.type(restart(image));
    const again = await below(room, second, 'sleep');
    await second.enter('echo $((known + 1))\n', /42\n> $/);
    await second.enter('jobs\n', /Stopped/);
    await second.enter('fg\n', /sleep 1000\n/);
    // bash says what it goes on with before it gives it the terminal
    await until('the job in the foreground', () => isForeground(again.pid) && again.state !== 'T');
    await second.enter('\u0003', /> $/);
    await second.enter('/usr/bin/python3 -c "print(6 * 7)"\n', /42\n> $/);
    await second.enter('exit\n', /ended with/);
  });

  test('vim below a shell, in a terminal of another size; it draws itself anew', { skip: lacks('vim') }, async () => {
    using room = new Room();
    const [text, image] = [room.path('text'), room.path('image')];
    fs.writeFileSync(text, 'first\nsecond line\n');
    using first = await Terminal.bash(room.directory, xterm);
    const shell = 'exec bash --rcfile bashrc --noediting -i\n'; // a shell of its own, whose child is in the foreground
    await first.enter(`(${shell.trim()})\n`, /> $/);
    await first.enter(`stty rows 24 cols 80; vim -u NONE -i NONE -n '${text}'\n`, /second line/);
    first.type('ihello ');
    const vim = await below(room, first, 'vim');
    const parent = Number(fs.readFileSync(`/proc/${vim.pid}/stat`, 'utf8').split(' ')[3]);
    await room.checkpoint(new Program(room.own(parent), '/dev/null', '/dev/null'), image, '--kill');
    using second = await Terminal.bash(room.directory, xterm);
    await second.enter('stty rows 12 cols 60\n', /> $/);
    const from = second.text.length;
    second.type(restart(image));
    await second.sees(/hello first[^]*second line/, { from });
    const again = await below(room, second, 'vim');
    const stat = fs.readFileSync(`/proc/${again.pid}/stat`, 'utf8').split(' ');
    assert.equal(stat[7], stat[4], 'its group is in the foreground');
    second.type('there \u001b');
    await second.enter(':wq\r', /written/);
    assert.equal(fs.readFileSync(text, 'utf8'), 'hello there first\nsecond line\n');
  });
});
