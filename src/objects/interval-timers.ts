/** The three interval timers of a process, alarm(2) among them. Source: man 2 getitimer, kernel/time/itimer.c. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { itimerval } from '../linux/abi/time.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';

export interface IntervalTimer {
  readonly which: 'real' | 'virtual' | 'prof';
  /** Microseconds that are left; 0 is not armed. */
  readonly remaining: bigint;
  /** Microseconds; 0: it fires once. */
  readonly interval: bigint;
}

export interface IntervalTimers {
  readonly timers: readonly IntervalTimer[];
}

/** ITIMER_REAL and so on, by their numbers. */
const names = ['real', 'virtual', 'prof'] as const;

const record: RecordKind<IntervalTimers> = defineKind<IntervalTimers>({
  tag: 0xc2,
  name: 'interval-timers',
  parents: ['task'],
  schema: s.record({
    timers: s.array(s.record({ which: s.oneOf(...names), remaining: s.u64(), interval: s.u64() }), names.length),
  }),
});

const million = 1_000_000n;

/** Seen only by asking the process itself. */
export function collectIntervalTimers({ injector, stopped }: Collection): ImageNode[] {
  const timers = names.flatMap((which, number) => {
    injector.mustCall('getitimer', [number, injector.scratch]);
    const read = itimerval.read(injector.readScratch(itimerval.size));
    const interval = read['it_interval.tv_sec'] * million + read['it_interval.tv_usec'];
    const left = read['it_value.tv_sec'] * million + read['it_value.tv_usec'];
    // The image tells how things were at the stop; only real time has gone on since.
    const since = which === 'real' && left > 0n ? (process.hrtime.bigint() - stopped) / 1000n : 0n;
    return left === 0n && interval === 0n ? [] : [{ which, remaining: left + since, interval }];
  });
  return timers.length === 0 ? [] : [node(record, { timers })];
}

export const intervalTimers: ObjectKind<IntervalTimers> = {
  record,
  title: 'Interval timers',
  carried: 'ITIMER_REAL (alarm), ITIMER_VIRTUAL and ITIMER_PROF with the time that is left and the interval.',
  refused: '',

  restart({ timers }, rebuild) {
    rebuild.finals.armCalls.push(() => {
      rebuild.room(timers.length, timers.length * 64);
      for (const { which, remaining, interval } of timers) {
        // A periodic one that has fired is started again when its SIGALRM is taken (kernel/signal.c: dequeue_signal). It
        // gets into that state by firing at once; its signal, which waits already, is not queued twice.
        const fired = which === 'real' && remaining === 0n;
        const left = fired ? 1n : remaining;
        const value = itimerval.make({
          'it_interval.tv_sec': interval / million,
          'it_interval.tv_usec': interval % million,
          'it_value.tv_sec': left / million,
          'it_value.tv_usec': left % million,
        });
        rebuild.batch.add(`arm the ${which} interval timer`, 'setitimer', [names.indexOf(which), rebuild.batch.data(value), 0]);
      }
    });
  },
};
