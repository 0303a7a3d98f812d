/** The rule which room may import from which (CONTRIBUTING.md, "Rooms"), checked on every source file. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** From bottom to top. A room imports from itself and from those below it, but image and linux not from each other. */
const rooms = ['errors', 'image', 'linux', 'arch', 'tracee', 'objects', 'stories', 'engine', 'index', 'cli'] as const;
type Room = (typeof rooms)[number];
const strangers: Partial<Record<Room, Room>> = { linux: 'image' };

/** Rooms that a package or builtin module is confined to. */
const confined: Record<string, Room> = {
  koffi: 'linux',
  cborg: 'image',
};
/** image/ is pure: it runs without Linux, without root, on any machine. */
const pureBuiltins = new Set(['node:zlib', 'node:crypto']);

const source = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
);

function roomOf(file: string): Room {
  const first = file.split('/')[0] ?? '';
  const name = first.replace(/\.ts$/, '');
  const room = rooms.find((each) => each === name);
  // Any other single file beside index.ts is a story, or a word that the stories share.
  return room ?? (first.endsWith('.ts') ? 'stories' : assert.fail(`src/${first}/ is no known room`));
}

/** Static and dynamic imports, and `createRequire(…)('…')`. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)'|^import '([^']+)'|(?:\bimport|\))\('([^']+)'\)/gm);
  return [...statements].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function objection(file: string, specifier: string): string | undefined {
  const room = roomOf(file);
  if (!specifier.startsWith('.')) {
    const home = confined[specifier];
    if (home !== undefined && home !== room) return `only ${home} may import it`;
    if (room === 'image' && specifier.startsWith('node:') && !pureBuiltins.has(specifier)) return 'image is pure';
    return undefined;
  }
  const target = roomOf(normalize(join(dirname(file), specifier)));
  if (rooms.indexOf(target) > rooms.indexOf(room)) return `${room} lies below ${target}`;
  if (strangers[room] === target) return `${room} and ${target} do not know each other`;
  return undefined;
}

for (const room of rooms) {
  const inRoom = files.filter((file) => roomOf(file) === room);
  if (inRoom.length === 0) continue;
  test(`${room} imports only what it may`, () => {
    const objections = inRoom.flatMap((file) =>
      importsOf(file).flatMap((specifier) => {
        const reason = objection(file, specifier);
        return reason === undefined ? [] : [`src/${file} imports ${specifier}: ${reason}`];
      }),
    );
    assert.deepEqual(objections, []);
  });
}

test('the rule itself notices', () => {
  assert.equal(objection('linux/a.ts', '../tracee/b.ts'), 'linux lies below tracee');
  assert.equal(objection('linux/a.ts', '../image/b.ts'), 'linux and image do not know each other');
  assert.equal(objection('checkpoint.ts', './engine/client.ts'), 'stories lies below engine');
  assert.equal(objection('image/a.ts', 'node:fs'), 'image is pure');
  assert.equal(objection('tracee/a.ts', 'koffi'), 'only linux may import it');
  assert.equal(objection('cli/a.ts', '../index.ts'), undefined);
  assert.equal(objection('objects/a.ts', '../tracee/b/c.ts'), undefined);
  assert.equal(objection('image/a.ts', 'node:zlib'), undefined);
});
