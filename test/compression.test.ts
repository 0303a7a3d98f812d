/** Images whose memory is compressed: smaller, whole after a restart, and refused clearly where the codec is missing. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import * as zlib from 'node:zlib';
import { begin, failed, holdsNoImage, unharmed } from './expectations.ts';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';

const codecs = ['lz4', 'zstd', 'zstd:1'] as const;
const libraries = { lz4: 'liblz4.so.1', zstd: 'libzstd.so.1' } as const;
const folder = '/usr/lib/x86_64-linux-gnu';

suite('compression', { skip: lacks('gcc', 'libc6-dev', 'liblz4-1', 'libzstd1') }, () => {
  for (const how of codecs) {
    test(`${how}: smaller, verified, restarted`, async () => {
      using room = new Room();
      const program = await begin(room, 'compressible', '24');
      const [plain, image] = [room.path('plain'), room.path('image')];
      await room.checkpoint(program, plain);
      await room.checkpoint(program, image, `--compress=${how}`, '--kill');
      await program.gone();
      const saved = fs.statSync(plain).size - fs.statSync(image).size;
      assert.ok(saved > 8 << 20, `${saved} bytes smaller`);
      const counts = async (path: string): Promise<unknown> => {
        const { stdout } = succeeded('verify', await room.stasis(['verify', '--json', path]));
        return JSON.parse(stdout).pages;
      };
      const [before, after] = [Number(await counts(plain)), Number(await counts(image))];
      assert.ok(Math.abs(before - after) < 64, `${after} pages, where there were ${before}`);
      const { stdout } = succeeded('inspect', await room.stasis(['inspect', image]));
      assert.match(stdout, new RegExp(`compression "?${how === 'zstd' ? 'zstd' : how}`));
      const again = await room.restart(image, program);
      room.go();
      await again.passes();
    });
  }

  test('damage in compressed memory is found', async () => {
    using room = new Room();
    const program = await begin(room, 'compressible', '4');
    const image = room.path('image');
    await room.checkpoint(program, image, '--compress=zstd');
    const bytes = fs.readFileSync(image);
    bytes[bytes.length - 50_000]! ^= 0x10;
    fs.writeFileSync(image, bytes);
    failed(await room.stasis(['verify', image]), 12, /checksum|damaged/);
    failed(await room.stasis(['restart', '-d', image]), 12, /checksum|damaged/);
    await unharmed(room, program);
  });

  test('a word that means nothing', async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    for (const word of ['gzip', 'zstd:0', 'zstd:20', 'lz4:1', ''])
      failed(
        await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), `--compress=${word}`]),
        2,
        /compress/,
      );
    holdsNoImage(room);
    await unharmed(room, program);
  });

  // Node has a zstd of its own from 22.15 on.
  const hidden = 'zstdCompress' in zlib ? (['lz4'] as const) : (['lz4', 'zstd'] as const);
  for (const name of hidden) {
    const skip = process.getuid?.() !== 0 && 'needs root, to hide the library';
    test(`without ${libraries[name]}`, { skip }, async () => {
      using room = new Room();
      const program = await begin(room, 'compressible', '1');
      const image = room.path('image');
      await room.checkpoint(program, image, `--compress=${name}`);
      const real = fs.realpathSync(`${folder}/${libraries[name]}`);
      const without = (command: string): string[] => [
        'unshare',
        '-m',
        'sh',
        '-c',
        `mount --bind /dev/null ${real} && exec ${command}`,
      ];
      const stasis = `${process.cwd()}/bin/stasis`;
      for (const command of [`checkpoint ${program.pid} -o ${room.path('no.image')} --compress=${name}`, `restart -d ${image}`]) {
        const started = await room.start(without(`${stasis} ${command}`));
        await started.gone();
        assert.match(started.stderr, new RegExp(libraries[name]));
        assert.match(started.stderr, /apt|package|Install/);
      }
      assert.ok(!fs.existsSync(room.path('no.image')));
      await unharmed(room, program);
    });
  }
});
