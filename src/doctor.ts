/** What this kernel and these privileges allow; each thing that is missing with its remedy. Changes nothing. */
import { readFileSync } from 'node:fs';
import { checks, type Finding, type Host } from './doctor-checks.ts';
import { errnoName } from './linux/errno.ts';
import { probes } from './linux/probes.ts';

export interface Check extends Finding {
  /** Stable, for programs. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Without it no checkpoint or no restart can work; else it is a limit. */
  readonly required: boolean;
  /** What to do about it; empty when all is well. */
  readonly remedy: string;
}

export interface Diagnosis {
  /** Everything that is required is there. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/** Runs all checks on this host, for this process. Never throws: a check that cannot be made has failed. */
export async function doctor(host: Host = thisHost()): Promise<Diagnosis> {
  const results = checks.map(({ name, title, required, remedy, find }): Check => {
    const { ok, detail } = attempt(() => find(host));
    return { name, title, required, ok, detail, remedy: ok ? '' : remedy };
  });
  return { ok: results.every((check) => check.ok || !check.required), checks: results };
}

function attempt(find: () => Finding): Finding {
  try {
    return find();
  } catch (error) {
    return { ok: false, detail: `could not be tried: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** The machine we run on. */
export function thisHost(): Host {
  return {
    platform: process.platform,
    architecture: process.arch,
    nodeVersion: process.versions.node,
    uid: process.getuid?.() ?? -1,
    readText: (path) => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
    probe: (name) => {
      const result = probes[name]();
      return result < 0 ? errnoName(-result) : '';
    },
  };
}
