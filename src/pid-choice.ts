/** Which process and thread ids a restart gives. */

/**
 * `keep`: the ids of the checkpoint as far as they are free and may be chosen, else new ones. `same`: the ids of the
 * checkpoint, or an error. `new`: a new id for the process; its threads and descendants get theirs where they are free.
 */
export type PidChoice = 'keep' | 'same' | 'new';

export const pidChoices: readonly PidChoice[] = ['keep', 'same', 'new'];
