/**
 * The RFC's demonstration: programs that checkpoint themselves and become each other, under `stasis run`; at a terminal
 * with job control, as a person would try it. See test/programs/rfc/README.md.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { include } from './build.ts';
import { commandPath, Room } from './harness.ts';
import { type Program, until } from './program.ts';
import { lacks } from './needs.ts';
import { comm, identify, isForeground, kill, mentioning, runningExecutable } from './processes.ts';
import { Terminal } from './terminal.ts';

const stasis = commandPath('stasis');
const numbers = ['-D__NR_checkpoint=17234', '-D__NR_restart=17235'];
const originals = process.env['STASIS_RFC_SOURCES'];
/** The RFC prints the two with different spaces in its versions. */
const ret = /\(ret ?= ?(-?\d+)[,)]/;

function compile(room: Room, name: 'ckpt' | 'rstr', word: string[], flags: string[] = numbers): string {
  return room.program(originals === undefined ? `rfc/${name}` : join(originals, `${name}.c`), [...word, ...flags], name);
}

/** The RFC's own programs are 32-bit ones. */
const wordSizes = [
  { size: '64 bits', word: [], lacking: false },
  { size: '32 bits', word: ['-m32'], lacking: lacks('gcc-multilib', 'libc6-dev-i386') },
] as const;

/** The number that the program got, from wherever it says so. */
async function answer(text: () => string): Promise<number> {
  const found = await until('(ret=…)', () => ret.exec(text()), { describe: text });
  return Number(found[1]);
}

async function noneLeft(room: Room): Promise<void> {
  await until('the end of every process of this test', () => mentioning(room.directory).length === 0, {
    describe: () =>
      JSON.stringify(mentioning(room.directory).map((pid) => [pid, fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')])),
  });
}

for (const { size, word: flag, lacking } of wordSizes) {
  const word = [...flag];
  suite(`the RFC in ${size}`, { skip: lacks('gcc', 'libc6-dev') || lacking }, () => {
    for (const [how, flags] of [
      ['numbers given by hand', numbers],
      ['our header', ['-include', `${include}/stasis.h`]],
    ] as const) {
      test(
        `ckpt > out.1 and rstr < out.1, with ${how}`,
        { skip: originals !== undefined && 'the originals run at the terminal only' },
        async () => {
          using room = new Room();
          const [ckpt, rstr] = [compile(room, 'ckpt', word, [...flags]), compile(room, 'rstr', word, [...flags])];
          const first = await room.start([stasis, 'run', '--', ckpt], { stdout: room.path('out.1') });
          const id = await answer(() => first.stderr);
          assert.ok(id > 0, `a positive id, not ${id}`);
          assert.equal(comm(first.pid), 'ckpt', 'stasis run became the program');
          assert.equal(first.state, 'R', 'it spins');
          const second = await room.start([stasis, 'run', '--', ckpt], { stdout: room.path('out.2') });
          assert.ok((await answer(() => second.stderr)) > id, 'the next checkpoint has a higher id');
          for (const each of [first, second]) each.signal('SIGINT');
          await first.gone();
          await second.gone();

          const restarted = await room.start([stasis, 'run', '--', rstr], { stdin: room.path('out.1') });
          // Its stderr is the file of its former self again, at the offset where that stood when it was checkpointed.
          await until('(ret=0)', () => ret.exec(first.stderr)?.[1] === '0', {
            describe: () => first.stderr + restarted.describe(),
          });
          assert.equal(comm(restarted.pid), 'ckpt', 'rstr changed its name to ckpt');
          assert.equal(fs.readlinkSync(`/proc/${restarted.pid}/exe`), ckpt);
          restarted.signal('SIGINT');
          await restarted.gone();
          await noneLeft(room);
        },
      );
    }

    test('an open file and its duplicate come back as one, over what the file holds by then', async () => {
      using room = new Room();
      const file = room.path('cr-test.out');
      const [shared, rstr] = [room.program('rfc/shared', [...word, ...numbers]), compile(room, 'rstr', word)];
      const text = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
      const first = await room.start([stasis, 'run', '--', shared, file], { stdout: room.path('out.1') });
      assert.ok((await answer(text)) > 0, text());
      first.signal('SIGINT');
      await first.gone();
      fs.writeFileSync(file, text().replace('world, hello!', 'xxxx'));
      const second = await room.start([stasis, 'run', '--', rstr], { stdin: room.path('out.1') });
      await until('(ret = 0)', () => text().startsWith('hello, world!\nworld, hello!\n(ret = 0)\noffsets equal\n'), {
        describe: () => text() + second.describe(),
      });
    });

    for (const [how, restart] of [
      ['stasis run -- rstr', (room: Room) => [stasis, 'run', '--', compile(room, 'rstr', word)]],
      ['bin/rstr', () => [commandPath('rstr')]],
    ] as const) {
      test(`three generations: a restarted program checkpoints itself again, restarted by ${how}`, async () => {
        using room = new Room();
        const output = room.path('output');
        fs.writeFileSync(output, '');
        const options = { stdout: output };
        let program: Program = await room.start(
          [stasis, 'run', '--', room.program('rfc/generations', word), room.directory],
          options,
        );
        for (let generation = 1; generation <= 3; generation++) {
          const line = new RegExp(`^generation ${generation} \\(ret=(-?\\d+)\\).*\n(?![^])`, 'm');
          assert.ok(Number((await program.line(line))[1]) > 0, program.describe());
          program.signal('SIGKILL');
          await program.gone();
          program = await room.start(restart(room), { stdin: room.path(`image.${generation}`), stdout: output });
          assert.equal(Number((await program.line(new RegExp(`^generation ${generation} \\(ret=0\\)`, 'm')))[0].length > 0), 1);
          fs.writeFileSync(room.path(`go.${generation}`), '');
        }
      });
    }

    test('calls: returns and errors', async () => {
      using room = new Room();
      const program = await room.start([stasis, 'run', '--', room.program('calls', word), room.directory]);
      await program.passes();
      await noneLeft(room);
    });
  });
}

suite('stasis run', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('a program goes on when its supervisor dies', async () => {
    using room = new Room();
    const program = await room.start([stasis, 'run', '--', room.program('steps'), room.path('go')]);
    await program.line(/^3 /m);
    for (const pid of mentioning(room.path('steps'))) if (pid !== program.pid) kill(identify(pid), 'SIGKILL');
    await program.line(/^60 /m);
    room.go();
    await program.passes();
  });

  test('stasis run hands on exit status, signals and arguments', async () => {
    using room = new Room();
    const status = async (...command: string[]) => room.stasis(['run', '--', ...command]);
    assert.equal((await status('sh', '-c', 'exit 42')).code, 42);
    assert.equal((await status('sh', '-c', 'kill -TERM $$')).signal, 'SIGTERM');
    assert.equal((await status('sh', '-c', 'printf "%s|" "$@"', 'sh', '--json', '-o', 'a b', '')).stdout, '--json|-o|a b||');
    const absent = await status(room.path('no-such-program'));
    assert.ok(absent.code === 127 || absent.code === 1 || absent.code === 2, `${absent.code} ${absent.stderr}`);
  });
});

suite('at a terminal', { skip: lacks('gcc', 'libc6-dev', 'bash') }, () => {
  for (const { size, word, lacking } of wordSizes)
    test(`ckpt and rstr in ${size} with ^C, ^Z and fg`, { skip: lacking }, async () => {
      using room = new Room();
      compile(room, 'ckpt', [...word]);
      compile(room, 'rstr', [...word]);
      using terminal = await Terminal.bash(room.directory);
      const [, id] = await terminal.enter(`${stasis} run -- ./ckpt > out.1\n`, ret);
      assert.ok(Number(id) > 0);
      assert.ok(isForeground(await alone(room.path('ckpt'))));
      await terminal.enter('\x03', /\^C\n> $/);
      await terminal.enter('echo "status $?"\n', /\nstatus 130\n> $/);

      for (const restart of [`${stasis} run -- ./rstr < out.1`, `${commandPath('rstr')} < out.1`, `${stasis} restart out.1`]) {
        const [, zero] = await terminal.enter(`sh -c 'echo "my pid is $$;"; exec ${restart}'\n`, ret);
        assert.equal(zero, '0');
        const pid = await alone(room.path('ckpt'));
        assert.equal(comm(pid), 'ckpt', 'ps shows the restarted program under its own name');
        assert.equal(
          String(pid),
          /my pid is (\d+);\n(?![^]*my pid is \d)/.exec(terminal.text)?.[1],
          'it has the pid of the command that became it',
        );
        assert.ok(isForeground(pid), 'in the foreground of the shell');
        await terminal.enter('\x1a', /Stopped[^\n]*\n> $/);
        assert.equal(fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0], 'T');
        await terminal.enter('fg\n', /fg\n.*\n/);
        await until(
          'it goes on',
          () => isForeground(pid) && fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] === 'R',
        );
        await terminal.enter('\x03', /\^C\n> $/);
        await terminal.enter('echo "status $?"\n', /\nstatus 130\n> $/);
        assert.deepEqual(runningExecutable(room.path('ckpt')), []);
      }
    });

  test('a program that reads from its terminal, in another terminal, with its settings', async () => {
    using room = new Room();
    const blocked = room.program('blocked');
    room.go('0');
    using first = await Terminal.bash(room.directory);
    await first.enter(`sh -c 'stty -echo intr ^G; exec ${blocked} ${room.path('go')} read 0 50'\n`, /ready \d+\n/);
    const pid = await alone(blocked);
    // First it only goes on, then it moves.
    assert.equal((await room.stasis(['checkpoint', String(pid), '-o', room.path('image.1')])).code, 0);
    const killed = await room.stasis(['checkpoint', String(pid), '-o', room.path('image'), '--kill']);
    assert.equal(killed.code, 0, killed.stderr);
    await first.sees(/Killed\n> $/);

    for (const restart of [`${stasis} restart image`, `${commandPath('rstr')} < image`]) {
      using second = await Terminal.bash(room.directory);
      second.type(`${restart}\n`);
      const again = await alone(blocked, () => second.text);
      await until('it is in the foreground and waits', () => isForeground(again) && identifyWaits(again), {
        describe: () => second.text,
      });
      const settings = await room.command('stasis', ['run', '--', 'stty', '-a'], {
        stdin: fs.readlinkSync(`/proc/${again}/fd/0`),
      });
      assert.match(settings.stdout, /intr = \^G/, settings.stderr);
      assert.match(settings.stdout, /-echo\b/);
      await second.enter('x\n', /PASS\n/);
    }
  });

  test('the exit status of a restarted program reaches the shell', async () => {
    using room = new Room();
    using first = await Terminal.bash(room.directory);
    await first.enter(`sh -c 'echo "I am $$."; read line; exit 7'\n`, /I am (\d+)\.\n/);
    const pid = /I am (\d+)\./.exec(first.text.split('\n').at(-2) ?? '')?.[1] ?? '';
    const killed = await room.stasis(['checkpoint', pid, '-o', room.path('image'), '--kill']);
    assert.equal(killed.code, 0, killed.stderr);
    using second = await Terminal.bash(room.directory);
    second.type(`${stasis} restart image\n`);
    await until(
      'sh again',
      () =>
        mentioning('I am').some(
          (each) =>
            comm(each) === 'sh' &&
            identifyWaits(each) &&
            isForeground(each) &&
            fs.readlinkSync(`/proc/${each}/cwd`) === room.directory,
        ),
      {
        describe: () => second.text,
      },
    );
    await second.enter('something\n', /> $/);
    await second.enter('echo "status $?"\n', /\nstatus 7\n> $/);
  });
});

/** The one process that runs this executable. */
function alone(path: string, describe = () => ''): Promise<number> {
  const probe = (): number | undefined => {
    const [pid, ...more] = runningExecutable(path);
    return more.length === 0 ? pid : undefined;
  };
  return until('one process', probe, { describe });
}

function identifyWaits(pid: number): boolean {
  return fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0] === 'S';
}
