/** The descriptor through which a self-checkpoint wrote the image: it comes back as the restart's own of that number. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { sameDescription } from '../linux/descriptors.ts';
import { openLocally } from './local-descriptors.ts';
import type { OpenFileKind } from './open-file.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenImage {
  /** The number that received the image. */
  readonly number: number;
}

const record: RecordKind<OpenImage> = defineKind<OpenImage>({
  tag: 0x55,
  name: 'open-image',
  parents: ['files'],
  schema: s.record({ number: s.uint(0xffff_ffff) }),
});

export const openImage: ObjectKind<OpenImage> & OpenFileKind = {
  record,
  title: 'The descriptor that received the image',
  carried: 'After a self-checkpoint it comes back as the descriptor of that number of the restart, or as /dev/null.',
  refused: '',

  recognise: (file, _table, { pid, imageFd }) => imageFd !== undefined && sameDescription(pid, file.fd, process.pid, imageFd),
  collect: (file, objref) => [node(record, { number: file.fd }, { objref })],

  restart(value, rebuild, { objref }) {
    const O_RDWR = 2;
    rebuild.descriptors.add(objref, () => rebuild.locals.duplicateInherited(value.number) ?? openLocally('/dev/null', O_RDWR));
  },
};
