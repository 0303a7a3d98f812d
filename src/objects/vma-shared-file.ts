/** Shared mappings of files, by reference: the file is their content. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { node, type ObjectKind } from './object.ts';
import { fileOf, referToFile } from './file.ts';
import { fileMappingFields, mappedFile, restartFileMapping, type FileMapping } from './vma-private-file.ts';
import { closeMapping, isBlocker, MAP, mappingBase, type VmaKind } from './vma.ts';

export interface SharedFileMapping extends FileMapping {
  /** The file was opened for writing, whatever the protection is now. */
  readonly writable: boolean;
}

const record: RecordKind<SharedFileMapping> = defineKind<SharedFileMapping>({
  tag: 0x23,
  name: 'vma-shared-file',
  container: true,
  parents: ['mm'],
  schema: s.record({ ...fileMappingFields, writable: s.bool() }),
});

export const vmaSharedFile: ObjectKind<SharedFileMapping> & VmaKind = {
  record,
  title: 'Shared file mapping',
  carried: 'File, offset, protection, advice. The content stays in the file, which may change until the restart.',
  refused: 'Replaced files; devices.',

  recognise: (vma) => vma.shared && vma.path.startsWith('/') && !/^\/(dev\/(?!shm\/))/.test(vma.path),

  collect(vma, collection) {
    const base = mappingBase(vma, []);
    if (isBlocker(base)) return base;
    const mapped = mappedFile(vma);
    if (isBlocker(mapped)) return mapped;
    const { objref, before } = referToFile(collection.objects, mapped);
    const value = { ...base, file: objref, offset: vma.offset, writable: vma.vmFlags.has('mw') };
    return [...before, node(record, value, { children: [] })];
  },

  restart(value, rebuild) {
    const O_RDWR = 2;
    // The content is the file's own business, but the range must still be there.
    rebuild.checkedFiles.add(fileOf(rebuild, value.file).path);
    restartFileMapping(value, rebuild, MAP.SHARED, value.writable ? O_RDWR : 0);
  },

  close: closeMapping,
};
