/** `stasis inspect`. */
import { errorCatalogue } from '../errors.ts';
import { imageSource } from './images.ts';
import { print, printJSON, say } from './output.ts';
import type { Invocation } from './parse.ts';

export async function inspectCommand(invocation: Invocation): Promise<number> {
  const source = imageSource(invocation);
  const { inspect, render } = await import('../inspect.ts');
  const tree = await inspect(source, { partial: true });
  const { error, ...image } = tree;
  if (invocation.flag('json')) {
    printJSON(error === undefined ? { ok: true, image } : { ok: false, image, error: { code: 'IMAGE', ...error } });
  } else {
    // What stands before the damage is worth seeing too.
    if (image.records.length > 0) print(render(tree));
    if (error !== undefined) say(`${invocation.name}: ${error.message}\n`);
  }
  return error === undefined ? 0 : errorCatalogue.IMAGE.exit;
}
