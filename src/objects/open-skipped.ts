/** Open files that the user leaves out of the image: closed in the restarted program, unless the restart gives it another. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import type { OpenFileKind } from './open-file.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenSkipped {
  /** What it was, for whoever looks. */
  readonly link: string;
  readonly flags: number;
}

const record: RecordKind<OpenSkipped> = defineKind<OpenSkipped>({
  tag: 0x6d,
  name: 'open-skipped',
  parents: ['files'],
  title: ({ link }) => link,
  schema: s.record({ link: s.text(3 * 4096), flags: s.hex(s.uint(0xffff_ffff)) }),
});

export const openSkipped: ObjectKind<OpenSkipped> & OpenFileKind = {
  record,
  title: 'Open file that was left out',
  carried: '`--skip-fd N`: closed in the restarted program; `--inherit fd:N=M` puts an open file of the restart in its place.',
  refused: '',

  recognise: ({ fd }, _table, { objects }) => objects.choices.skipFds?.includes(fd) === true,
  collect: ({ link, info }, objref) => [node(record, { link, flags: info.flags }, { objref })],
  restart: (_value, rebuild, { objref }) => rebuild.locals.skip(objref),
};
