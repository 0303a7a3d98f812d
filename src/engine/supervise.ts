/** The supervisor: answers checkpoint and restart for the tasks under `stasis run`, until none of them is left. */
import { answerCheckpoint, answerRestart } from '../serve-calls.ts';
import { Listener, NR_checkpoint } from '../linux/seccomp.ts';
import { listenerFd } from '../supervisor.ts';

export async function main(_words: readonly string[]): Promise<void> {
  const listener = new Listener(listenerFd);
  for (let call = listener.next(); call !== undefined; call = listener.next()) {
    await (call.number === NR_checkpoint ? answerCheckpoint(listener, call) : answerRestart(listener, call));
  }
}
