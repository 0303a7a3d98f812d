/**
 * Programs from Debian's packages, none of which knows of us: each computes for ever, goes through ten generations of
 * checkpoint, kill and restart, and its output must equal, byte for byte, that of the same program left alone.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { vectorFlags } from './build.ts';
import { Room } from './harness.ts';
import { until } from './program.ts';
import { lacks, type Need } from './needs.ts';

interface Real {
  name: string;
  needs: Need[];
  /** `script` writes a file into the room and gives its path. */
  command: (room: Room, script: (text: string) => string) => string[];
}

const reals: Real[] = [
  {
    name: 'python3',
    needs: ['python3'],
    command: (_, script) => [
      '/usr/bin/python3',
      '-S',
      script(
        'import random, hashlib, sys\nr = random.Random(7)\nseen = {}\nn = 0\nx = 3.5\n' +
          'while True:\n  n += 1\n  for i in range(2000): seen[r.getrandbits(14)] = i\n  x = (x * 1.7 + n) % 97.3\n' +
          '  print(n, x, hashlib.sha256(repr(sorted(seen.items())[:200]).encode()).hexdigest(), pow(3, n * 1001, 10**40 + 7), flush=True)\n',
      ),
    ],
  },
  {
    name: 'perl',
    needs: ['perl'],
    command: (_, script) => [
      '/usr/bin/perl',
      script(
        '$| = 1; my ($x, %h) = (1);\nfor (my $n = 1; ; $n++) {\n  for (1 .. 3000) { $x = ($x * 1103515245 + 12345) % 2147483648; $h{$x % 5000} .= chr(97 + $x % 26); }\n' +
          '  my $k = join ",", map { "$_=" . length $h{$_} } (sort keys %h)[0 .. 5];\n  printf "%d %d %.15g %s\\n", $n, $x, sqrt($x), $k;\n  %h = () if $n % 50 == 0;\n}\n',
      ),
    ],
  },
  {
    name: 'mawk',
    needs: ['mawk'],
    command: () => [
      '/usr/bin/mawk',
      'BEGIN { x = 1; for (n = 1; ; n++) { for (i = 0; i < 5000; i++) { x = (x * 69069 + 1) % 4294967296; a[x % 1000] += i } s = 0; for (k = 0; k < 1000; k++) s += a[k] * (k + 1); printf "%d %.0f %.0f %.12g\\n", n, x, s, sin(x); fflush() } }',
    ],
  },
  {
    name: 'bash',
    needs: ['bash'],
    command: (_, script) => [
      '/usr/bin/bash',
      script(
        'declare -A seen\nx=1\nfor ((n = 1; ; n++)); do\n  for ((i = 0; i < 300; i++)); do (( x = (x * 1103515245 + 12345) % 2147483648 )); seen[$((x % 97))]=$x; done\n' +
          '  printf "%d %d %s\\n" "$n" "$x" "${seen[5]}${seen[50]}"\ndone\n',
      ),
    ],
  },
  {
    name: 'bc',
    needs: ['bc'],
    command: (_, script) => [
      '/usr/bin/bc',
      '-lq',
      script(
        'scale = 40\nx = 1\nfor (n = 1; 1; n++) {\n  for (i = 0; i < 20; i++) x = (x * 1103515245 + 12345 + i) - ((x * 1103515245 + 12345 + i) / 1000003) * 3\n' +
          '  x = s(x - n) + sqrt(n) + 2\n  print n, " ", x, "\\n"\n}\n',
      ),
    ],
  },
  {
    name: 'sqlite3 in memory',
    needs: ['sqlite3'],
    command: () => [
      '/usr/bin/sqlite3',
      ':memory:',
      'with recursive t(n, x) as (select 1, 1 union all select n + 1, (x * 1103515245 + 12345) % 2147483648 from t) ' +
        'select n, x, (with recursive c(k) as (select 1 union all select k + 1 from c where k < 8000) select sum(k * x % 7919) from c) from t;',
    ],
  },
  {
    name: 'php',
    needs: ['php-cli'],
    command: (_, script) => [
      '/usr/bin/php',
      script(
        '<?php $seen = []; $x = 1;\nfor ($n = 1; ; $n++) {\n  for ($i = 0; $i < 20000; $i++) { $x = ($x * 1103515245 + 12345) % 2147483648; $seen[$x % 5000] = ($seen[$x % 5000] ?? 0) + $i; }\n' +
          '  ksort($seen); echo $n, " ", $x, " ", md5(json_encode($seen)), "\\n";\n}\n',
      ),
    ],
  },
  {
    name: 'guile',
    needs: ['guile-3.0'],
    command: (_, script) => [
      '/usr/bin/guile-3.0',
      '--no-auto-compile',
      '-s',
      script(
        '(define (step x k) (if (= k 0) x (step (modulo (+ (* x 1103515245) 12345) 2147483648) (- k 1))))\n' +
          '(let loop ((n 1) (x 1) (big 1))\n  (let ((y (step x 20000)) (z (if (> (string-length (number->string big)) 400) 1 (* big (+ x n)))))\n' +
          '    (display n) (display " ") (display y) (display " ") (display z) (newline) (force-output)\n    (loop (+ n 1) y z)))\n',
      ),
    ],
  },
  {
    name: 'a C program that computes in vector registers',
    needs: ['gcc', 'libc6-dev'],
    command: (room) => [room.program('vector', vectorFlags())],
  },
];

const generations = 10;

/** Some seconds of work for a compiler. */
function largeSource(): string {
  const one = (n: number): string =>
    `int f${n}(int a, int b) { int s = ${n}; for (int k = 0; k < a; k++) { s += (k * ${(n * 37) % 997}) ^ b; if (s & ${1 << (n % 13)}) s -= k / (b | 1); else s += ${n % 89} * k; } return s; }\n`;
  return Array.from({ length: 400 }, (_, n) => one(n)).join('');
}

suite('gcc', { skip: lacks('gcc') }, () => {
  test('cc1 compiles a large file, through three generations', async () => {
    using room = new Room();
    fs.writeFileSync(room.path('large.c'), largeSource());
    const cc1 = spawnSync('/usr/bin/gcc', ['-print-prog-name=cc1'], { encoding: 'utf8' }).stdout.trim();
    const command = (into: string): string[] => [cc1, '-quiet', '-O2', room.path('large.c'), '-o', room.path(into)];
    const size = (): number => fs.statSync(room.path('once.s'), { throwIfNoEntry: false })?.size ?? 0;
    const started = performance.now();
    const [file = '', ...args] = command('reference.s');
    assert.equal(spawnSync(file, args).status, 0);
    const took = performance.now() - started;
    let program = await room.start(command('once.s'));
    for (let generation = 1; generation <= 3; generation++) {
      await sleep((took / 10) * (generation === 1 ? 3 : 1));
      assert.ok(program.alive, 'it has ended before it was checkpointed');
      await room.checkpoint(program, room.path('image'), '--kill');
      await program.gone();
      program = await room.restart(room.path('image'), program);
    }
    await program.gone(120_000);
    assert.ok(
      size() > 0 && fs.readFileSync(room.path('once.s')).equals(fs.readFileSync(room.path('reference.s'))),
      program.describe(),
    );
  });
});

suite('real programs, ten generations', () => {
  for (const real of reals) {
    test(real.name, { skip: lacks(...real.needs) }, async () => {
      using room = new Room();
      const command = real.command(room, (text) => {
        fs.writeFileSync(room.path('script'), text);
        return room.path('script');
      });
      let program = await room.start(command);
      const size = () => fs.statSync(program.stdoutPath).size;
      // Output that is buffered in memory is state too, so files grow in steps. Every generation shall add to it.
      const grows = async (): Promise<void> => {
        const before = size();
        await until('more output', () => size() > before, { describe: () => program.describe().slice(-3000) });
      };
      await grows();
      for (let generation = 1; generation <= generations; generation++) {
        const image = room.path(`image.${generation}`);
        await room.checkpoint(program, image, '--kill');
        await program.gone();
        program = await room.restart(image, program);
        fs.rmSync(image);
        await grows();
      }
      program.signal('SIGKILL');
      await program.gone();
      assertContinuous(program.stdout, command, room);
    });
  }
});

function assertContinuous(text: string, command: string[], room: Room): void {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1);
  const count = lines.split('\n').length - 1;
  assert.ok(count > generations, `only ${count} lines`);
  const alone = spawnSync('sh', ['-c', '"$@" </dev/null 2>/dev/null | head -n "$COUNT"', 'sh', ...command], {
    cwd: room.directory,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, COUNT: String(count) },
    timeout: 120_000,
  }).stdout;
  if (lines === alone) return;
  const [got, wanted] = [lines.split('\n'), alone.split('\n')];
  const at = got.findIndex((line, index) => line !== wanted[index]);
  assert.fail(`Line ${at + 1} of ${count} is\n  ${got[at]}\nleft alone the program prints\n  ${wanted[at]}`);
}
