/** `stasis doctor`. */
import { errorCatalogue } from '../errors.ts';
import type { Check, Diagnosis } from '../doctor.ts';
import { painter, print, printJSON, terminalWidth } from './output.ts';
import type { Invocation } from './parse.ts';
import { paragraph } from './text.ts';

export async function doctorCommand(invocation: Invocation): Promise<number> {
  const { doctor } = await import('../doctor.ts');
  const diagnosis = await doctor();
  if (invocation.flag('json')) printJSON(diagnosis);
  else print(renderDiagnosis(diagnosis, terminalWidth(1), painter(1)));
  return diagnosis.ok ? 0 : errorCatalogue.PRIVILEGE.exit;
}

/** One line for each check, and the remedy below what is missing. */
export function renderDiagnosis(diagnosis: Diagnosis, width: number, paint: ReturnType<typeof painter>): string {
  const indent = ' '.repeat(9);
  const lines = diagnosis.checks.flatMap((check) => {
    const [first = '', ...others] = paragraph(`${check.title}: ${check.detail}`, width - indent.length);
    const remedy = check.ok ? [] : paragraph(check.remedy, width - indent.length);
    return [`${mark(check, paint)}  ${first}`, ...[...others, ...remedy].map((line) => indent + line)];
  });
  const missing = diagnosis.checks.filter(({ ok, required }) => required && !ok).length;
  const verdict = missing === 0 ? 'Checkpoints and restarts work here.' : `${missing} of what Stasis needs is missing here.`;
  return `${[...lines, '', verdict].join('\n')}\n`;
}

function mark({ ok, required }: Check, paint: ReturnType<typeof painter>): string {
  if (ok) return paint('green', 'ok     ');
  return required ? paint('red', 'MISSING') : paint('yellow', 'absent ');
}
