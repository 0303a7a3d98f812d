/** The ioctl PAGEMAP_SCAN (linux/fs.h, since Linux 6.7; Documentation/admin-guide/mm/pagemap.rst). */
import { Struct } from '../structs.ts';

const pm_scan_arg_fields = {
  size: ['u64', 0],
  flags: ['u64', 8],
  start: ['u64', 16],
  end: ['u64', 24],
  walk_end: ['u64', 32],
  vec: ['u64', 40],
  vec_len: ['u64', 48],
  max_pages: ['u64', 56],
  category_inverted: ['u64', 64],
  category_mask: ['u64', 72],
  category_anyof_mask: ['u64', 80],
  return_mask: ['u64', 88],
} as const;

/** The argument. `size` is its own size, 96. */
export const pm_scan_arg: Struct<typeof pm_scan_arg_fields> = new Struct({
  type: 'struct pm_scan_arg',
  header: 'linux/fs.h',
  size: 96,
  fields: pm_scan_arg_fields,
  recent: {
    macro: 'PAGEMAP_SCAN',
    declaration: `struct pm_scan_arg {
      __u64 size; __u64 flags; __u64 start; __u64 end; __u64 walk_end; __u64 vec; __u64 vec_len; __u64 max_pages;
      __u64 category_inverted; __u64 category_mask; __u64 category_anyof_mask; __u64 return_mask;
    };`,
  },
});

const page_region_fields = {
  start: ['u64', 0],
  end: ['u64', 8],
  categories: ['u64', 16],
} as const;

/** One answer: [start, end) with these PAGE_IS_* categories. */
export const page_region: Struct<typeof page_region_fields> = new Struct({
  type: 'struct page_region',
  header: 'linux/fs.h',
  size: 24,
  fields: page_region_fields,
  recent: { macro: 'PAGEMAP_SCAN', declaration: 'struct page_region { __u64 start; __u64 end; __u64 categories; };' },
});
