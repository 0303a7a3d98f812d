/** One line on the terminal that says how far a long checkpoint or restart has come. */
import { isTerminal, say } from './output.ts';
import { formatBytes } from './text.ts';

export interface ProgressEvent {
  readonly phase: string;
  readonly bytes?: number;
  readonly total?: number;
}

export interface Progress extends Disposable {
  readonly update: (event: ProgressEvent) => void;
}

/** What takes less is over before anyone has read it. */
const SILENT_MS = 300;
const INTERVAL_MS = 100;
const CLEAR = '\r\x1b[K';

/** Shows progress if that is wanted and standard error is a terminal that can; wiped away on disposal. */
export function openProgress(wanted: boolean): Progress {
  if (!wanted || process.env['TERM'] === 'dumb' || !isTerminal(2)) return { update: () => {}, [Symbol.dispose]: () => {} };
  let next = performance.now() + SILENT_MS;
  let shown = false;
  return {
    update: (event) => {
      const now = performance.now();
      if (now < next) return;
      next = now + INTERVAL_MS;
      shown = true;
      say(CLEAR + progressLine(event));
    },
    [Symbol.dispose]: () => {
      if (shown) say(CLEAR);
    },
  };
}

export function progressLine({ phase, bytes, total }: ProgressEvent): string {
  if (bytes === undefined) return phase;
  if (total === undefined || total <= 0) return `${phase}: ${formatBytes(bytes)}`;
  return `${phase}: ${formatBytes(bytes)} of ${formatBytes(total)}, ${Math.min(100, Math.floor((100 * bytes) / total))} %`;
}
