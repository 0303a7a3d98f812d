/** Files of /proc that belong to the process itself: it has another number after a restart. Source: man 5 proc_pid. */
import { pathName, type PathName } from './path-name.ts';

/** `/proc/PID/…` of the process becomes `/proc/self/…`. */
export function imagePath(name: PathName, pid: number): PathName {
  return replaceStart(name, `/proc/${pid}`, '/proc/self');
}

/** The other way round, for a process that is being restarted. */
export function hostPath(name: PathName, pid: number): PathName {
  return replaceStart(name, '/proc/self', `/proc/${pid}`);
}

function replaceStart(name: PathName, from: string, to: string): PathName {
  const { path, pathBytes } = name;
  if (pathBytes !== undefined || (path !== from && !path.startsWith(`${from}/`))) return name;
  return pathName(to + path.slice(from.length));
}
