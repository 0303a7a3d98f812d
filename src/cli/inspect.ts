/** `stasis inspect`. */
import { imageSource } from './images.ts';
import { print, printJSON } from './output.ts';
import type { Invocation } from './parse.ts';

export async function inspectCommand(invocation: Invocation): Promise<number> {
  const source = imageSource(invocation);
  const { inspect, render } = await import('../inspect.ts');
  const image = await inspect(source);
  if (invocation.flag('json')) printJSON({ ok: true, image });
  else print(render(image));
  return 0;
}
