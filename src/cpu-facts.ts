/** The processor as the head of an image names it. Source: /proc/cpuinfo. */
import { readFileSync } from 'node:fs';
import type { Head } from './image/head.ts';

let facts: Head['cpu'] | undefined;

export function cpuFacts(): Head['cpu'] {
  if (facts !== undefined) return facts;
  const text = readFileSync('/proc/cpuinfo', 'latin1');
  const first = text.slice(0, text.indexOf('\n\n'));
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(first)?.[1] ?? '';
  facts = { vendor: field('vendor_id'), model: field('model name'), features: field('flags').split(' ') };
  return facts;
}
